// Runs an SDK for Node: does what a line of JSON on stdin says, answers with a line, as
// sdk_child.py does for Python.  Arguments: the folder with the SDK, the file with what it can do.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, actionsFile] = process.argv.slice(2);
const { NAME, actions } = await import(pathToFileURL(actionsFile));
const from = createRequire(join(folder, 'package.json'));
const Sdk = (await import(pathToFileURL(from.resolve(NAME)))).default;
const installed = readFileSync(join(folder, 'node_modules', NAME, 'package.json'));

let sent = 0;
const counting = (...request) => {
  sent += 1;
  return fetch(...request);
};

// What a user's `catch` can see of an error, under the names that Python's SDK has for it.
const describe = (error) => ({
  class: error.constructor.name,
  message: error.message,
  status_code: error.status ?? null,
  code: error.code ?? error.error?.error?.code ?? null,
  type: error.type ?? null,
  param: error.param ?? null,
  request_id: error.requestID ?? error.request_id ?? null,
  body: error.error ?? null,
});

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ version: JSON.parse(installed).version });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  const client = new Sdk({ apiKey: order.token, baseURL: order.base_url, fetch: counting });
  sent = 0;
  const started = performance.now();
  let result;
  try {
    result = await actions[order.action](client, order);
    if (result.broke) result.broke = describe(result.broke);
  } catch (error) {
    result = { error: describe(error) };
  }
  say({ http_requests: sent, seconds: (performance.now() - started) / 1000, ...result });
}
