// What node_child can do with `@anthropic-ai/sdk`, and nothing that only one version of it has.

export const NAME = '@anthropic-ai/sdk';

const complete = async (client, { request }) => ({
  message: await client.messages.create(request),
});

// By the SDK's stream helper: its events, and what it makes of them.
const stream = async (client, { request }) => {
  const events = [];
  const arriving = client.messages.stream(request);
  try {
    for await (const event of arriving) events.push(event);
  } catch (error) {
    return { events, broke: error };
  }
  return { events, message: await arriving.finalMessage() };
};

export const actions = { complete, stream };
