"""Providers: how a chat request becomes an upstream call, and its answer OpenAI's shape again.

The only importer of litellm.  Deployments whose provider speaks the OpenAI wire go over our own
pooled connections, with litellm's classes translating the request; all others go through
`litellm.acompletion`.  `client.Providers` chooses, per deployment.
"""
