"""``python -m platemark`` is the ``platemark`` command."""

from platemark.apps.cli import main

main()
