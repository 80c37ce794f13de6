// What node_child can do with `openai`, and nothing that only one version of it has.

export const NAME = 'openai';

const complete = async (client, { request }) => ({
  completion: await client.chat.completions.create(request),
});

// An error in the middle keeps the chunks.
const stream = async (client, { request }) => {
  const chunks = [];
  const events = await client.chat.completions.create({ ...request, stream: true });
  try {
    for await (const event of events) chunks.push(event);
  } catch (error) {
    return { chunks, broke: error };
  }
  return { chunks };
};

// The fourth version has it among what was still to come.
const parse = async (client, { request }) => {
  const completions = client.chat.completions.parse
    ? client.chat.completions
    : client.beta.chat.completions;
  const completion = await completions.parse(request);
  return { parsed: completion.choices[0].message.parsed };
};

// As the SDK asks for them by itself.
const embed = async (client, { request }) => {
  const made = await client.embeddings.create(request);
  return { vectors: made.data.map((one) => [...one.embedding]), usage: made.usage };
};

const models = async (client) => {
  const found = [];
  for await (const model of await client.models.list()) found.push(model.id);
  return { models: found };
};

export const actions = { complete, stream, parse, embed, models };
