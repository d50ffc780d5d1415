"""Pictures by PyVista, which draws in a process of its own."""

import sys

import numpy as np
import pytest

from upstroke.case.schema import SlabMesh
from upstroke.mesh import build_mesh
from upstroke.output.render import INSTALL_GL, draw_activation

image = pytest.importorskip("matplotlib.image")


def colours(path):
    """Pixels of a picture: (height, width, 3), 0 to 1."""
    return image.imread(path)[:, :, :3]


def test_pyvista_draws_in_its_own_process_and_never_harms_this_one(tmp_path):
    """Whatever the machine has, there is a picture; VTK is not even loaded here."""
    loaded = "vtkmodules.vtkRenderingCore" in sys.modules
    mesh = build_mesh(SlabMesh(size=(1.0, 0.7, 0.3), dx=0.1))
    drawn = draw_activation(mesh, mesh.points[:, 0] * 10, tmp_path / "activation.png", "Slab")
    assert drawn.renderer in ("pyvista", "matplotlib")
    assert (drawn.renderer == "pyvista") == (drawn.note == "")
    assert (np.ptp(colours(tmp_path / "activation.png"), axis=2) > 0.15).mean() > 0.2
    assert ("vtkmodules.vtkRenderingCore" in sys.modules) == loaded


def test_a_machine_without_opengl_gets_matplotlibs_picture(tmp_path, monkeypatch):
    """VTK is told to draw through a library that is not there: it ends its process, not this one."""
    pytest.importorskip("pyvista")
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonexistent")
    mesh = build_mesh(SlabMesh(size=(1.0, 0.7, 0.3), dx=0.1))
    drawn = draw_activation(mesh, mesh.points[:, 0], tmp_path / "activation.png")
    if drawn.renderer == "pyvista":
        pytest.skip("this machine has OSMesa")
    assert drawn == ("matplotlib", "activation.png was drawn by matplotlib alone, as PyVista cannot draw on this "
                                   f"machine; {INSTALL_GL}")
    assert (np.ptp(colours(tmp_path / "activation.png"), axis=2) > 0.15).mean() > 0.2
