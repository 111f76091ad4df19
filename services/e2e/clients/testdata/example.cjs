// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Runs the example page, and prints what the page says. Arguments: the page, the front door, the token, the namespace, the protocol.
const { look } = require("./browser.cjs");

const [url, address, token, namespace, protocol] = process.argv.slice(2);
look(async (page) => {
  await page.goto(url);
  await page.fill("#address", address);
  await page.fill("#token", token);
  await page.fill("#namespace", namespace);
  await page.selectOption("#protocol", protocol);
  await page.click("button");
  await page.waitForFunction(() => /done|Error/.test(document.getElementById("events").lastElementChild?.textContent ?? ""));
  console.log((await page.locator("#events li").allTextContents()).join("\n"));
});
