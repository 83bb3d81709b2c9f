// Asks questions as an application that is made with the AI SDK.
//
// Usage: node ai.mjs VERSION URL TOKEN < questions
// VERSION is that of the SDK, as package.json names it: `ai-VERSION` and `react-VERSION`.

import { randomUUID } from 'node:crypto';

import { print, questions, stop } from './questions.mjs';

const [version, url, token] = process.argv.slice(2);
const { DefaultChatTransport, readUIMessageStream } = await import(`ai-${version}`);
const { Chat } = await import(`react-${version}`);

for await (const question of questions()) {
  for (const [way, ask] of [['transport', askTransport], ['chat', askChat]]) {
    const chatId = `chat ${randomUUID()}`;
    const transport = new DefaultChatTransport({
      api: `${url}/chat/ai-sdk`,
      headers: { authorization: `Bearer ${token}` },
      body: question.collection ? { collections: [question.collection] } : {},
    });
    const answer = await ask(transport, chatId, question);
    // Nothing is left to take up.
    const idle = (await transport.reconnectToStream({ chatId })) === null;
    print({ name: question.name, way, idle, ...answer });
  }
}

/** Reads the parts of the stream by themselves. */
async function askTransport(transport, chatId, question) {
  const messages = [userMessage(question)];
  const lost = new AbortController();
  const request = { chatId, messages, trigger: 'submit-message', messageId: undefined, abortSignal: lost.signal };
  const seen = await read(await transport.sendMessages(request), async (message) => {
    if (question.stop) await stop(url, token, message.id);
    if (question.resume) lost.abort();
  });
  if (!question.resume) return seen;
  return read(await transport.reconnectToStream({ chatId }));
}

async function read(stream, onFirstWords = async () => {}) {
  let message, error, spoke = false;
  try {
    for await (const state of readUIMessageStream({ stream, onError: (caught) => { error ??= caught; } })) {
      message = state;
      if (!spoke && words(message)) {
        spoke = true;
        await onFirstWords(message);
      }
    }
  } catch (caught) {
    error ??= caught;
  }
  return shown(message, error);
}

/** Asks as `useChat` does: the hook holds a `Chat`, and shows its messages. */
async function askChat(transport, chatId, question) {
  const options = { id: chatId, transport, generateId: randomUUID };
  const chat = new Chat(options);
  const sent = chat.sendMessage({ text: question.question });
  if (question.stop || question.resume) {
    await firstWords(chat);
    if (question.stop) await stop(url, token, chat.lastMessage.id);
    else await chat.stop();
  }
  await sent;
  if (!question.resume) return shown(chat.lastMessage, chat.error);
  // The page was loaded anew: there is the question, and no answer yet.
  const anew = new Chat({ ...options, messages: [userMessage(question)] });
  await anew.resumeStream();
  return shown(anew.lastMessage, anew.error);
}

async function firstWords(chat) {
  while (!(chat.lastMessage?.role === 'assistant' && words(chat.lastMessage))) {
    if (chat.error) throw chat.error;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function userMessage(question) {
  return { id: randomUUID(), role: 'user', parts: [{ type: 'text', text: question.question }] };
}

function words(message) {
  return message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('');
}

/** What a user sees of an answer. */
function shown(message, error) {
  const of = (test) => message.parts.filter((part) => test(part.type));
  return {
    message_id: message.id,
    ...message.metadata,
    text: words(message),
    sources: of((type) => type === 'source-document').map(({ filename, providerMetadata }) => ({
      filename,
      ...providerMetadata.ragline,
    })),
    citations: of((type) => type === 'data-citation').map((part) => part.data),
    tools: of((type) => type.startsWith('tool-')).map((part) => ({
      name: part.type.slice('tool-'.length),
      arguments: part.input,
      sources: part.output?.sources ?? null,
      error: part.errorText ?? null,
    })),
    unfinished: message.parts.some((part) => part.state === 'streaming' || part.state === 'input-streaming'),
    problem: of((type) => type === 'data-problem')[0]?.data.code ?? null,
    error: error?.message ?? null,
  };
}
