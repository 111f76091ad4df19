// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Looks at the API reference, and prints what it shows as JSON. Arguments: the page, the token, the group, a file for a screenshot.
const { look } = require("./browser.cjs");

const [url, token, group, screenshot] = process.argv.slice(2);
look(async (page) => {
  const elsewhere = [];
  page.on("request", (r) => {
    const to = new URL(r.url());
    if (to.protocol.startsWith("http") && to.origin !== new URL(url).origin) elsewhere.push(r.url());
  });
  const blocked = [];
  page.on("console", (m) => /Content Security Policy/.test(m.text()) && blocked.push(m.text()));
  await page.goto(url);
  await page.waitForSelector("#group option", { state: "attached" });
  const groups = await page.locator("#group option").allTextContents();
  await page.selectOption("#group", group);
  await page.fill("#token", "nonsense");
  await page.click("button");
  await page.waitForSelector("#problem:not([hidden])");
  const refused = await page.textContent("#problem");
  await page.fill("#token", token);
  await page.click("button");
  await page.waitForSelector(".opblock");
  const operations = await page.locator(".opblock").evaluateAll((blocks) =>
    blocks.map((b) => `${b.querySelector(".opblock-summary-method").textContent} ${b.querySelector(".opblock-summary-path").textContent.replaceAll("\u200b", "")}`),
  );
  await page.locator(".opblock-post .opblock-summary").first().click();
  await page.waitForSelector(".opblock-body .opblock-description, .opblock-body .parameters");
  await page.waitForFunction(() => !document.querySelector(".opblock-body .loading"));
  const opened = (await page.locator(".opblock-body").first().innerText()).slice(0, 4000);
  await page.screenshot({ path: screenshot });
  console.log(JSON.stringify({ title: await page.title(), groups, refused, operations, opened, elsewhere, blocked }));
});
