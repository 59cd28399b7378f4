// The official JavaScript client in Node, led to the relay by its documented request middleware alone.
// RELAY_URL is the relay's base address, FAL_KEY a relay key.

import { tell } from "./js_story.mjs";

const { RELAY_URL, FAL_KEY } = process.env;
const HOSTS = [
  ["https://queue.fal.run", ""],
  ["https://fal.run", "/run"],
  ["https://rest.fal.ai", ""],
];

const well = await tell(RELAY_URL, FAL_KEY, (fal) => {
  fal.config({
    credentials: FAL_KEY,
    requestMiddleware: async (request) => {
      for (const [from, to] of HOSTS) {
        if (request.url.startsWith(`${from}/`)) {
          return { ...request, url: RELAY_URL + to + request.url.slice(from.length) };
        }
      }
      return request;
    },
  });
});
// The client still waits for the moment to renew its realtime token.
process.exit(well ? 0 : 1);
