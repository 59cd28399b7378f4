// The few assertions of the stories, in words that Node and a browser both know.

function fail(message, fallback) {
  throw new Error(message ?? fallback);
}

const shown = (value) => JSON.stringify(value)?.slice(0, 300);

export function ok(value, message) {
  if (!value) fail(message, "not so");
}

export function equal(actual, expected, message) {
  if (!Object.is(actual, expected)) fail(message, `${shown(actual)} is not ${shown(expected)}`);
}

export function deepEqual(actual, expected, message) {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    fail(message, `${shown(actual)} is not ${shown(expected)}`);
  }
}

export function match(text, pattern, message) {
  if (!pattern.test(text)) fail(message, `${shown(text)} does not match ${pattern}`);
}

export async function rejects(promise, check) {
  let error;
  try {
    await promise;
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) fail("it went well, and should not have");
  check(error);
}
