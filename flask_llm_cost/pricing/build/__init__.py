"""A maintainer's command that makes ``prices.json`` from published price data.

``python -m flask_llm_cost.pricing.build`` fetches the pinned packages below through pip, reads them in a
throwaway environment, and writes the bundled table. The same pins give the same bytes. No app runs this.
"""

from __future__ import annotations
