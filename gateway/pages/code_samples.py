"""The same call as a program makes it, ready to paste into a shell."""

import json
import shlex

from django.http import HttpRequest


def base_url(request: HttpRequest) -> str:
    """What an OpenAI client takes as its base URL, at the address that the reader came by."""
    return request.build_absolute_uri("/v1")


def free_call(request: HttpRequest, model: str, prompt: str) -> str:
    """A visitor's call with curl: no key needed."""
    url = request.build_absolute_uri("/api/v1/free/completion")
    return _curl(url, model, prompt)


def chat_call(request: HttpRequest, model: str, prompt: str, token: str = "") -> str:
    """A user's call with curl.  Without `token` it reads the variable SCALIX_API_KEY."""
    authorization = f'"Authorization: Bearer {token or "$SCALIX_API_KEY"}"'
    return _curl(f"{base_url(request)}/chat/completions", model, prompt, authorization)


def usage_call(request: HttpRequest) -> str:
    """Asks with curl what the account used."""
    url = request.build_absolute_uri("/api/v1/usage?by=day")
    return f'curl "{url}" \\\n  -H "Authorization: Bearer $SCALIX_API_KEY"'


def exports(request: HttpRequest, token: str = "") -> str:
    """The two variables that switch an OpenAI client over."""
    key = token or '"$SCALIX_API_KEY"'
    return f"export OPENAI_BASE_URL={base_url(request)}\nexport OPENAI_API_KEY={key}"


def anthropic_exports(request: HttpRequest) -> str:
    """The two variables that switch an Anthropic client over, whose base URL has no /v1."""
    root = request.build_absolute_uri("/").rstrip("/")
    return f'export ANTHROPIC_BASE_URL={root}\nexport ANTHROPIC_API_KEY="$SCALIX_API_KEY"'


def _curl(url: str, model: str, prompt: str, *headers: str) -> str:
    quoted = json.dumps(prompt, ensure_ascii=False)
    message = f'{{"role": "user",\n      "content": {quoted}}}'
    body = f'{{"model": "{model}",\n    "messages": [{message}]}}'
    lines = [f"curl {url}", *(f"-H {header}" for header in headers)]
    lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(body)}"]
    return " \\\n  ".join(lines)
