// Asks questions by OpenAI's client for JavaScript.
//
// Usage: node openai.mjs URL TOKEN < questions

import OpenAI from 'openai';

import { print, questions, stop } from './questions.mjs';

const [url, token] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/openai/v1`, apiKey: token, maxRetries: 0 });
const completions = client.chat.completions;

for await (const question of questions()) {
  const request = {
    model: question.collection ? `ragline/${question.collection}` : 'ragline',
    messages: [{ role: 'user', content: question.question }],
  };
  for (const [way, ask] of [['stream', askStream], ['helper', askHelper], ['whole', askWhole]]) {
    // The id by which it could be stopped comes with the answer.
    if (question.stop && way === 'whole') continue;
    let answer;
    try {
      answer = await ask(request, question);
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      answer = { error: error.message, problem: error.code, status: error.status ?? null };
    }
    print({ name: question.name, way, ...answer });
  }
}

/** Adds up the chunks. */
async function askStream(request, question) {
  const stream = await completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
  const seen = { text: '', annotations: [], finish_reason: null, usage: null };
  let stopped = false;
  try {
    for await (const chunk of stream) {
      seen.usage = chunk.usage ?? seen.usage;
      const [choice] = chunk.choices;
      seen.text += choice?.delta.content ?? '';
      seen.annotations.push(...(choice?.delta.annotations ?? []));
      seen.finish_reason = choice?.finish_reason ?? seen.finish_reason;
      if (question.stop && seen.text && !stopped) {
        stopped = true;
        await stop(url, token, messageId(chunk));
      }
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    return { ...seen, error: error.message, problem: error.code };
  }
  return seen;
}

/** Has the client add up the chunks. */
async function askHelper(request, question) {
  const stream = completions.stream({ ...request, stream_options: { include_usage: true } });
  if (question.stop) {
    let text = '';
    stream.on('chunk', (chunk) => {
      const first = text === '';
      text += chunk.choices[0]?.delta.content ?? '';
      if (first && text !== '') stop(url, token, messageId(chunk)).catch((error) => stream.controller.abort(error));
    });
  }
  return whole(await stream.finalChatCompletion());
}

async function askWhole(request) {
  return whole(await completions.create(request));
}

function whole({ choices: [choice], usage }) {
  const { content, annotations } = choice.message;
  return { text: content, annotations: annotations ?? [], finish_reason: choice.finish_reason, usage };
}

function messageId({ id }) {
  return id.replace('chatcmpl-', '');
}
