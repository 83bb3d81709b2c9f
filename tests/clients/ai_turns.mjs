// Goes through a conversation as its user does with `useChat`: asks, asks on, wants another answer, changes the last question.
//
// Usage: node ai_turns.mjs VERSION URL TOKEN

import { randomUUID } from 'node:crypto';

import { print } from './questions.mjs';

const [version, url, token] = process.argv.slice(2);
const { DefaultChatTransport } = await import(`ai-${version}`);
const { Chat } = await import(`react-${version}`);

const headers = { authorization: `Bearer ${token}` };
const transport = new DefaultChatTransport({ api: `${url}/chat/ai-sdk`, headers });
const chat = new Chat({ id: randomUUID(), transport, generateId: randomUUID });

await step('ask', () => chat.sendMessage({ text: 'first' }));
await step('ask on', () => chat.sendMessage({ text: 'second' }));
await step('regenerate', () => chat.regenerate());
await step('regenerate by id', () => chat.regenerate({ messageId: chat.lastMessage.id }));
await step('edit', () => chat.sendMessage({ text: 'third', messageId: chat.messages.at(-2).id }));
await step('edit what is not the last', () => chat.sendMessage({ text: 'fourth', messageId: chat.messages[0].id }));

async function step(name, act) {
  await act();
  const messages = chat.messages.map(({ role, parts }) => ({
    role,
    text: parts.filter((part) => part.type === 'text').map((part) => part.text).join(''),
  }));
  const conversation_id = chat.lastMessage.metadata?.conversation_id ?? null;
  print({ name, conversation_id, messages, error: chat.error?.message ?? null });
}
