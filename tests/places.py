"""Where the environments are: beside the tree, or where the set-up script says."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOK_VENV = Path(os.environ.get("ENCLAVE_NOTEBOOK__VENV", ROOT / ".venv-notebook")).absolute()
