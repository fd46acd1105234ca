from support.blank_pictures import blank_pictures  # noqa: F401
