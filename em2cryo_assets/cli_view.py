"""``em2cryo view``: a cell or a tomogram in Neuroglancer or napari.

Belongs here: what is asked and said on the terminal. Does not belong here: what is shown (`viewers`).
"""

import getpass
import importlib.util
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.study import open_study

if TYPE_CHECKING:
    from em2cryo_assets.viewers.layers import Scene

__all__ = ["view"]


@click.group()
def view() -> None:
    """Open a volume in a viewer, with layers, colours and nm already set."""


def _viewing(what: str, words: str) -> click.Command:
    """The command that shows one kind of thing."""

    @click.argument("key")
    @click.option("--napari", is_flag=True, help="In napari, if you have it, in place of Neuroglancer in the browser.")
    @click.option("--no-browser", is_flag=True, help="Only print the address: for a machine you are not sitting at.")
    def command(key: str, napari: bool, no_browser: bool) -> None:
        from em2cryo_assets.viewers.layers import cell_scene, tomogram_scene

        _need("napari" if napari else "neuroglancer")
        try:
            scene = {"cell": cell_scene, "tomogram": tomogram_scene}[what](open_study(), key)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        if napari:
            _in_napari(scene)
        else:
            _in_browser(scene, no_browser)

    return click.command(what, help=words)(command)


view.add_command(_viewing("cell", "Show the fused volume and the mesh of the cell KEY."))
view.add_command(_viewing("tomogram", "Show the tomogram KEY with its labels."))


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        line = {"neuroglancer": "pip install 'em2cryo-assets[viewers]'", "napari": "pip install 'napari[all]>=0.9'"}[
            package
        ]
        raise click.ClickException(f"{package} is not installed. Remedy: {line}")


def _in_napari(scene: "Scene") -> None:
    import napari

    from em2cryo_assets.viewers.in_napari import fill

    fill(napari.Viewer(), scene)
    napari.run()


def _in_browser(scene: "Scene", no_browser: bool) -> None:
    from em2cryo_assets.viewers.in_neuroglancer import serve

    with serve(scene) as viewer:
        address = viewer.get_viewer_url()
        click.echo(f"{scene.title}\n{address}")
        if no_browser:
            port = urlsplit(address).port
            click.echo("On the machine with the browser type, and open the address there:")
            click.echo(f"ssh -N -L {port}:127.0.0.1:{port} {getpass.getuser()}@{socket.gethostname()}")
        else:
            webbrowser.open(address)
        click.echo("Ctrl-C ends it.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("")
