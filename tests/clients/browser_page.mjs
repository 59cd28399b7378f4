// What the page of `browser.mjs` runs.

import { tell } from "./js_story.mjs";

globalThis.story = (relay, proxyUrl) => tell(relay, undefined, (fal) => fal.config({ proxyUrl }));
