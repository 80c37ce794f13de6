"""How staff read that a provider is called is how it is called."""

from gateway.providers import translation
from gateway.providers.client import DIALECTS
from gateway.providers.ways import TRANSLATED, Way, way_of
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
