"""Makes matrices nearly orthogonal, as Muon does with its steps."""

import tensorflow as tf

from keras_alexnet.distributed.precision import graph_is_rewritten

# Of 3.4445·x − 4.7750·x³ + 2.0315·x⁵, which brings singular values from (0, 1] to about 0.7–1.2 in
# five rounds (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024).
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


def make_orthogonal(matrices: tf.Tensor, scale: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns for each matrix the nearest one whose singular values are about 0.7 to 1.2.

    It is what `keras.optimizers.Muon.zeropower_via_newtonschulz5` returns, in about a third of the
    time for long matrices. Every round multiplies the matrix X by a polynomial of XᵀX; the products
    of these polynomials are gathered first, so that the long side of X is met only at the start and
    at the end. The norm and the scale are applied to the small matrices as well: the squared norm
    of X is the trace of XᵀX. All of it is in float32 in every precision.

    Args:
        matrices: float32 `[..., rows, columns]`.
        scale: multiplies the result; float32 scalar.

    Example:
        >>> float(tf.norm(make_orthogonal(tf.constant([[30.0], [40.0]])))) > 0.6
        True
    """
    long = matrices.shape[-2] >= matrices.shape[-1]
    products = _product(matrices, matrices, transpose_a=long, transpose_b=not long)
    norms = tf.sqrt(tf.linalg.trace(products))[..., None, None] + 1e-7
    factors = _gathered_polynomials(products / norms**2) * (scale / norms)
    return _product(matrices, factors) if long else _product(factors, matrices)


def _gathered_polynomials(products: tf.Tensor) -> tf.Tensor:
    """Returns the product of all rounds' polynomials of XᵀX, `[..., size, size]`."""
    first, second, third = _COEFFICIENTS
    identity = tf.eye(products.shape[-1])
    gathered = identity
    for round_ in range(_ROUNDS):
        polynomial = first * identity + second * products + third * _product(products, products)
        gathered = _product(polynomial, gathered) if round_ else polynomial
        products = _product(_product(polynomial, products), polynomial)
    return gathered


def _product(
    left: tf.Tensor, right: tf.Tensor, *, transpose_a: bool = False, transpose_b: bool = False
) -> tf.Tensor:
    """A matrix product that the graph rewriter leaves in float32.

    In bfloat16, XᵀX of a step with few directions, as the first ones are, has eigenvalues below 0,
    and the rounds make them infinite.
    """
    if not graph_is_rewritten():
        return tf.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    # The rewriter knows MatMul and the other versions of this one, which are faster.
    return tf.raw_ops.BatchMatMulV3(
        x=left, y=right, Tout=tf.float32, adj_x=transpose_a, adj_y=transpose_b
    )
