// The official JavaScript client in Node, led to the relay by its proxy address alone.
// RELAY_URL is the relay's base address, FAL_KEY a relay key.

import { tell } from "./js_story.mjs";

const { RELAY_URL, FAL_KEY } = process.env;

const well = await tell(RELAY_URL, FAL_KEY, (fal) => {
  fal.config({ credentials: FAL_KEY, proxyUrl: { url: `${RELAY_URL}/api/fal/proxy`, when: "always" } });
});
// The client still waits for the moment to renew its realtime token.
process.exit(well ? 0 : 1);
