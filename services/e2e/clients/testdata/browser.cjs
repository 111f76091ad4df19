// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// What scripts that look at pages share: a Chromium that asks nobody but the page's own servers.
const { chromium } = require("playwright-core");

// look opens a page and has a function look at it; the page's faults are printed, since a test that fails needs them.
module.exports.look = async (see) => {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(30_000);
    page.on("console", (m) => m.type() === "error" && console.error("console:", m.text()));
    page.on("pageerror", (e) => console.error("page:", e.message));
    page.on("requestfailed", (r) => console.error("request:", r.url(), r.failure()?.errorText));
    await see(page);
  } finally {
    await browser.close();
  }
};
