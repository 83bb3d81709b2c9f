// What the clients of this folder have in common: they read questions from standard input, an object of JSON on each line, and
// print what their users see of each answer, in the same way.
//
// A question is { name, question, collection, stop, resume }: `stop` is whether its user stops it after its first words,
// `resume` whether the connection is lost there and taken up again.

import { createInterface } from 'node:readline';

/** The questions, one after the other. */
export async function* questions() {
  for await (const line of createInterface({ input: process.stdin })) {
    yield JSON.parse(line);
  }
}

/** Prints what was seen of an answer. */
export function print(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Stops an answer, as a button does. */
export async function stop(url, token, messageId) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/chat/${messageId}/stop`, { method: 'POST', headers });
  if (response.status !== 202) throw new Error(`stop: ${response.status}`);
}
