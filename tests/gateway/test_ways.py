"""How staff read that a provider is called is how it is called."""

from gateway.providers import translation
from gateway.providers.client import DIALECTS
from gateway.providers.ways import ONE_ANSWER, TRANSLATED, Way, way_of
from tests.gateway.cast import target


def speaks_openais_wire(provider: str) -> bool:
    try:
        return translation.wire_of(target("one", provider=provider)) is not None
    except Exception:  # noqa: BLE001 (some want more than an address, and no deployment has it)
        return False


def test_each_of_litellms_providers_is_called_as_it_is_said() -> None:
    translation.library()
    from litellm.types.utils import LlmProviders

    said = {one.value: way_of(one.value) for one in LlmProviders}
    assert {name for name, way in said.items() if way is Way.OPENAI_WIRE} == {
        name for name in said if name not in DIALECTS and speaks_openais_wire(name)
    }
    assert {name for name, way in said.items() if way is Way.TRANSLATED} == set(DIALECTS)
    assert set(DIALECTS) == TRANSLATED


def takes_several_answers(provider: str) -> bool | None:
    """Whether litellm hands `n` on to it; None where it knows nothing of it."""
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    config = ProviderConfigManager.get_provider_chat_config("any", LlmProviders(provider))
    return None if config is None else "n" in config.get_supported_openai_params("any")


def test_who_gives_one_answer_a_call_is_known() -> None:
    translation.library()
    from litellm.types.utils import LlmProviders

    said = {one.value: takes_several_answers(one.value) for one in LlmProviders}
    assert {name for name, several in said.items() if several is False} == ONE_ANSWER
