// Opens pages in Chromium, and does with them what a job says.
//
// The job is JSON on standard input: {modules, chromium, profile, steps}, with playwright-core in
// the folder `modules`. The results of the steps are a list of JSON on standard output.

import {createRequire} from "node:module";
import {readFileSync} from "node:fs";

const job = JSON.parse(readFileSync(0, "utf8"));
const {chromium} = createRequire(`${job.modules}/`)("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const context = await chromium.launchPersistentContext(job.profile, {
  executablePath: job.chromium, headless: true, args: [...FLAGS, ...job.flags ?? []],
  permissions: job.permissions ?? [],
});
const page = context.pages()[0];
page.setDefaultTimeout(60_000);
const requests = [];
const errors = [];
page.on("request", (request) => requests.push(request.url()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

const text = (id) => page.locator(`#${id}`).innerText();
const state = async () => ({
  status: await text("status"), problem: await text("problem"), time: await text("time"),
  bars: await page.locator("#bars .name").evaluateAll(
    (items) => items.map((item) => [...item.children].map((part) => part.textContent))),
  errors: errors.splice(0), hosts: [...new Set(requests.map((each) => new URL(each).host))],
});

const ACTIONS = {
  async open({url, scheme, width, height}) {
    await page.emulateMedia({colorScheme: scheme ?? "light"});
    await page.setViewportSize({width: width ?? 1000, height: height ?? 900});
    await page.goto(url);
    await page.locator("#choose:enabled").or(page.locator("#problem:not(:empty)")).waitFor();
    return state();
  },
  async choose({file}) {
    await page.locator("#time").evaluate((element) => { element.textContent = ""; });
    await page.locator("#problem").evaluate((element) => { element.textContent = ""; });
    await page.setInputFiles("#file", file);
    await page.locator("#time:not(:empty)").or(page.locator("#problem:not(:empty)"))
      .first().waitFor();
    return state();
  },
  // Gives files one after the other, without a pause; without files, a text.
  async give({verb, files, type}) {
    const contents = files?.map((file) => readFileSync(file).toString("base64")) ?? [""];
    await page.evaluate(async ([event, contents, type]) => {
      const name = event === "paste" ? "clipboardData" : "dataTransfer";
      const Kind = event === "paste" ? ClipboardEvent : DragEvent;
      for (const id of ["time", "status"]) document.getElementById(id).textContent = "";
      for (const each of contents) {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(each), (letter) => letter.charCodeAt(0));
        if (each) transfer.items.add(new File([bytes], "given", {type}));
        else transfer.setData("text/plain", "only text");
        document.dispatchEvent(new Kind(event, {[name]: transfer, bubbles: true, cancelable: true}));
      }
    }, [verb, contents, type ?? "image/png"]);
    await page.locator("#time:not(:empty)").or(page.locator("#problem:not(:empty)"))
      .first().waitFor();
    await page.waitForTimeout(500); // for results that must not come
    return state();
  },
  async model({name}) {
    await page.selectOption("#model", name);
    await page.waitForFunction((wanted) =>
      document.getElementById("status").textContent.includes(wanted), `Ready: ${name}`);
    return state();
  },
  async press({selector, seconds}) {
    await page.locator(selector).click();
    await page.waitForTimeout(1000 * (seconds ?? 1));
    return state();
  },
  async keys({names}) {
    const focused = [];
    for (const name of names) {
      await page.keyboard.press(name);
      focused.push(await page.evaluate(() => document.activeElement.id
        || document.activeElement.type || document.activeElement.tagName));
    }
    return focused;
  },
  async tree() {
    return page.locator("body").ariaSnapshot();
  },
  async shoot({path, whole}) {
    await page.screenshot({path, fullPage: whole ?? true});
    return path;
  },
  // Prepares files by the page's own modules, without a network.
  async prepare({url, plan, files}) {
    const pictures = files.map((file) => readFileSync(file).toString("base64"));
    return JSON.parse(await page.evaluate(async ([url, plan, pictures]) => {
      const {withPicture} = await import(new URL("./image.js", url).href);
      const {prepare} = await import(new URL("./squares.js", url).href);
      const results = [];
      for (const picture of pictures) {
        const bytes = Uint8Array.from(atob(picture), (each) => each.charCodeAt(0));
        results.push([...await withPicture(new Blob([bytes]), plan, 1e8, (source) =>
          prepare(source, plan))]);
      }
      return JSON.stringify(results);
    }, [url, plan, pictures]));
  },
  // Classifies many files by the page's own module, without its buttons.
  async classify({url, model, files}) {
    const pictures = files.map((file) => readFileSync(file).toString("base64"));
    // As text, because playwright needs minutes for millions of numbers.
    return JSON.parse(await page.evaluate(async ([url, model, pictures]) => {
      const {Classifier} = await import(new URL("./classifier.js", url).href);
      const classifier = await Classifier.load(new URL("./network.json", url), model);
      const results = [];
      for (const picture of pictures) {
        const bytes = Uint8Array.from(atob(picture), (each) => each.charCodeAt(0));
        const {pixels, logits, milliseconds, maps} = await classifier.classify(new Blob([bytes]));
        results.push({pixels: [...pixels], logits: [...logits], milliseconds,
          maps: Object.fromEntries(Object.entries(maps).map(([name, {values}]) =>
            [name, [values.length, values.reduce((sum, value) => sum + value, 0)]]))});
      }
      classifier.delete();
      return JSON.stringify({threads: classifier.threads, results});
    }, [url, model, pictures]));
  },
};

const results = [];
try {
  for (const {action, ...options} of job.steps) results.push(await ACTIONS[action](options));
} finally {
  await context.close();
}
process.stdout.write(JSON.stringify(results));
