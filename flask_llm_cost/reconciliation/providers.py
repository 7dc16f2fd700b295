"""The providers whose admin API can be asked: addresses, keys and sources."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from . import anthropic
from . import openai
from .admin_api import AdminApi
from .admin_api import admin_key
from .admin_api import checked_address
from .source import Source


@dataclass(frozen=True, slots=True)
class BillingProvider:
    """A provider that tells what it billed.

    :param key_variable: the environment variable of its admin key.
    """

    name: str
    address: str
    key_variable: str
    headers: Callable[[str], Mapping[str, str]]
    sources: Sequence[Source]

    def api(self, address: str | None = None) -> AdminApi:
        """Its admin API, with the key of the environment.

        :param address: another one, such as a company's gateway.
        :raises ConfigurationError: there is no key, or the address is not safe.
        """
        checked = checked_address(address or self.address)
        return AdminApi(checked, self.headers(admin_key(self.key_variable)), self.key_variable)


BILLING_PROVIDERS: Mapping[str, BillingProvider] = {
    each.PROVIDER: BillingProvider(each.PROVIDER, each.ADDRESS, each.KEY_VARIABLE, each.headers, each.SOURCES)
    for each in (openai, anthropic)
}
