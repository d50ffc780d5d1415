"""The words of the command: its verbs and their options."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path

from upstroke import __version__
from upstroke.cli import verbs
from upstroke.errors import OptionError, did_you_mean


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line; argparse itself tells of other mistakes, and exits.

    Raises
    ------
    OptionError : a verb or an option that there is not, or a word too many
    """
    parser, known = _make()
    if words and not words[0].startswith("-") and words[0] not in known:
        raise OptionError(words[0], "no such verb", did_you_mean(words[0], known))
    arguments, left = parser.parse_known_args(words)
    if left and left[0].startswith("-"):
        option = left[0].partition("=")[0]
        options = re.findall(r"--[\w-]+", known[words[0]].format_usage())
        raise OptionError(option, "no such option", did_you_mean(option, options))
    if left:
        raise OptionError(left[0], "one word too many", f"see upstroke {words[0]} --help")
    return arguments


def make_parser() -> argparse.ArgumentParser:
    """What the command understands; ``verb`` is the function of `verbs` that does it."""
    return _make()[0]


def _make() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of its verbs."""
    parser = argparse.ArgumentParser(prog="upstroke", description="Solver for excitable tissue and cables.")
    parser.add_argument("--version", action="version", version=f"upstroke {__version__}")
    words = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add_case(verb: argparse.ArgumentParser) -> None:
        verb.add_argument("case", metavar="CASE", nargs="+", type=Path,
                          help="a folder with case.toml, or a case file; several are merged, later ones win")
        verb.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                          help='change a key of the case, for example --set time.dt="0.01 ms"')
        verb.add_argument("--backend", choices=("auto", "cpu", "cuda"),
                          help="the device, short for --set backend.device=...")
        verb.add_argument("--model", metavar="MODEL",
                          help="an ionic model by name, or a .model file, short for --set membrane.model=...")
        verb.add_argument("--method", metavar="METHOD",
                          help="integration method of V and all states, short for --set membrane.method=...")

    def add_model(verb: argparse.ArgumentParser) -> None:
        verb.add_argument("--flag", metavar="FLAG", action="append", default=[],
                          help="a variant of the model, for example EPI")

    def add_steps(verb: argparse.ArgumentParser) -> None:
        verb.add_argument("model", metavar="MODEL", help="a model's name, or a .model file")
        add_model(verb)
        verb.add_argument("--param", metavar="NAME=VALUE", action="append", default=[],
                          help="a parameter: a value, or a change such as -62%%, *0.38 or +0.1")
        verb.add_argument("--method", metavar="METHOD", default="", help="integration method of V and all states")
        verb.add_argument("--dt", metavar="TIME", default="0.02 ms", help="time step (default: 0.02 ms)")
        verb.add_argument("--splitting", choices=("godunov", "strang", "unsplit"), default="godunov")
        verb.add_argument("--diffusion", choices=("explicit", "crank_nicolson", "backward_euler"),
                          help="time scheme (default: crank_nicolson; explicit where unsplit)")
        verb.add_argument("--reaction-steps", metavar="N", type=int, default=1, help="reaction steps in one time step")

    verb = words.add_parser("run", help="run a case", description="Run a case and leave a run directory.")
    add_case(verb)
    verb.add_argument("--out", metavar="DIR", type=Path, help="the run directory (default: runs/<case>)")
    verb.add_argument("--checkpoint-every", metavar="TIME",
                      help='real time between checkpoints, "30 min"; short for --set output.checkpoint_every=...')
    verb.add_argument("--time-limit", metavar="TIME",
                      help='real time after which the run writes a checkpoint and ends with exit code 75, "23.5 h"')
    verb.add_argument("--quiet", action="store_true", help="no progress bar")
    verb.set_defaults(verb=verbs.do_run)

    verb = words.add_parser("resume", help="go on with a run that was ended",
                            description="Go on with a run that was ended, from its newest checkpoint, in its own "
                                        "directory. What comes out is what the run would have given.")
    verb.add_argument("run", metavar="RUN", type=Path, help="a run directory")
    verb.add_argument("--backend", choices=("auto", "cpu", "cuda"), help="another device than the case says")
    verb.add_argument("--quiet", action="store_true", help="no progress bar")
    verb.set_defaults(verb=verbs.do_resume)

    verb = words.add_parser("sweep", help="run a study: one case with many values of its keys",
                            description="Run every member of a study over the cores, GPUs or ranks at hand, each in a "
                                        "folder of its own, and gather a table. A study that was ended goes on when "
                                        "the same command is given again.")
    verb.add_argument("study", metavar="STUDY", type=Path, help="a study file, or a folder with study.toml")
    verb.add_argument("--out", metavar="DIR", type=Path, help="the study's folder (default: runs/<study>)")
    verb.add_argument("--workers", metavar="N", type=_count, help="members that run at a time")
    verb.add_argument("--retry-failed", action="store_true", help="run members again that failed")
    verb.add_argument("--dry-run", action="store_true", help="list the members and end")
    verb.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                      help="change a key of the case in all members")
    verb.add_argument("--quiet", action="store_true", help="no progress bar")
    verb.set_defaults(verb=verbs.do_sweep)

    verb = words.add_parser("erp", help="find the effective refractory period of tissue",
                            description="Find by bisection the longest interval from the last S1 at which no wave of "
                                        "S2 comes to a probe. The case has the train S1, one pulse S2, and a probe.")
    add_case(verb)
    verb.add_argument("--from", metavar="TIME", required=True, help="an interval at which there is no wave")
    verb.add_argument("--to", metavar="TIME", required=True, help="an interval at which there is one")
    verb.add_argument("--tolerance", metavar="TIME", default="1 ms", help="of the result (default: 1 ms)")
    verb.add_argument("--stimulus", metavar="NAME", default="S2",
                      help="the early stimulus (default: S2); all other pulses are before it")
    verb.add_argument("--probe", metavar="NAME", help="the probe that a wave is to reach (default: the only one)")
    verb.add_argument("--out", metavar="DIR", type=Path, help="the folder of the results (default: runs/<case>-erp)")
    verb.set_defaults(verb=verbs.do_erp)

    verb = words.add_parser("mesh", help="make a mesh of ventricles with fibres",
                            description="Write a mesh of one ventricle or two with fibres and sheets by rule, "
                                        "coordinates and surfaces; or give these to a mesh file. Prints the [mesh] "
                                        "table that reads it.")
    verb.add_argument("kind", metavar="KIND", help="lv: a left ventricle; bv: both; or a mesh file of tetrahedra with "
                                                   "named surfaces")
    verb.add_argument("--h", metavar="LENGTH", help='length of an edge, "0.8 mm"')
    verb.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                      help='a key of [mesh] with kind = "ventricle" (bv: "biventricle"), for example --set '
                           'alpha="[50, -50]"')
    verb.add_argument("--with", dest="mesher", choices=("gmsh",), default="",
                      help="of bv: who makes the tetrahedra, if not Upstroke")
    verb.add_argument("--surface", metavar="ROLE=NAME", action="append", default=[],
                      help="of a file: the node set that is endo, epi, base, and where there are such rv and apex")
    verb.add_argument("--unit", choices=("m", "cm", "mm", "um"), help="of a file: unit of its coordinates")
    verb.add_argument("--output", "-o", metavar="FILE", type=Path, required=True,
                      help="the file to write: .vtu or .vtk")
    verb.set_defaults(verb=verbs.do_mesh)

    verb = words.add_parser("check", help="check a case without running it",
                            description="Check a case and print it resolved, with node count, stability limits and "
                                        "estimates of memory and time.")
    add_case(verb)
    verb.add_argument("--draw", metavar="FILE", type=Path,
                      help="draw a neuron by region with the sites of its inputs: .png")
    verb.set_defaults(verb=verbs.do_check)

    verb = words.add_parser("models", help="list the ionic models, or describe one")
    verb.add_argument("name", metavar="NAME", nargs="?", help="a model to describe: a name or a .model file")
    verb.add_argument("--names", action="store_true", help="names only, one per line")
    verb.add_argument("--plugins", action="store_true", help="plug-ins instead of models: list them, or describe one")
    verb.add_argument("--bibtex", action="store_true", help="only the papers, as BibTeX")
    add_model(verb)
    verb.set_defaults(verb=verbs.do_models)

    # bench reads its options itself
    verb = words.add_parser("bench", help="single-cell experiments, with openCARP's options", add_help=False)
    verb.set_defaults(verb=verbs.do_bench)

    _add_view(words.add_parser(
        "view", help="make pages, films, pictures and tables of runs",
        description="Without further options: one HTML file that needs no network. Of a run with snapshots it shows "
                    "the mesh, to turn, cut and play; of others, and of several runs together, every state and current "
                    "of bench, or the probes: panels to search, choose and zoom together, runs and beats over each "
                    "other. Options that take a FILE make something else of a run, several at once if wished."))

    verb = words.add_parser("emit", help="print the kernel of a model as source text",
                            description="Print a complete source of a model's kernel, which cc or nvcc compiles as "
                                        "it stands.")
    verb.add_argument("model", metavar="MODEL", help="a model's name, or a .model file")
    verb.add_argument("--target", choices=("c", "cuda"), required=True)
    verb.add_argument("--precision", choices=("fp64", "fp32", "mixed"), default="fp64")
    verb.add_argument("--method", metavar="METHOD", help="integration method for all states")
    verb.add_argument("--stats", action="store_true",
                      help="instead of the source, print what the CUDA kernel needs (registers, memory, operations), "
                           "its bounds, and its speed where a GPU is at hand; needs cuda-bindings, nvidia-cuda-nvrtc")
    verb.add_argument("--arch", metavar="ARCH", help="architecture for --stats (default: sm_90)")
    verb.add_argument("--output", "-o", metavar="FILE", type=Path, help="write to a file")
    add_model(verb)
    verb.set_defaults(verb=verbs.do_emit)

    verb = words.add_parser("import", help="translate a CellML, SBML or mmt model into a .model file",
                            description="Translate an ionic model of another format and check its rates; needs the "
                                        "Python package myokit. Variables are named component.name.")
    verb.add_argument("file", metavar="FILE", type=Path, help="a .cellml, .sbml, .xml or .mmt file")
    verb.add_argument("--output", "-o", metavar="FILE", type=Path, required=True, help="the .model file to write")
    verb.add_argument("--vm", metavar="NAME", default="", help="the membrane voltage, where it cannot be told")
    verb.add_argument("--current", metavar="NAME", default="",
                      help="the whole membrane current, instead of what the file makes the voltage follow")
    verb.add_argument("--stimulus", metavar="NAME", default="",
                      help="the stimulus current, which is left out, where it cannot be told")
    verb.set_defaults(verb=verbs.do_import)

    verb = words.add_parser("export", help="write an ionic model as mmt or CellML",
                            description="Write an ionic model as mmt or CellML; needs the Python package myokit.")
    verb.add_argument("model", metavar="MODEL", help="a model's name, or a .model file")
    verb.add_argument("--to", choices=("mmt", "cellml"), required=True)
    verb.add_argument("--output", "-o", metavar="FILE", type=Path, required=True, help="the file to write")
    add_model(verb)
    verb.set_defaults(verb=verbs.do_export)

    verb = words.add_parser("reduce", help="simplify a neuron to a few compartments",
                            description="Write a case with a neuron of a few compartments in place of a whole one, and "
                                        "a report that sets both side by side: input resistance, time constant, "
                                        "transfer up to 200 Hz, step responses, f-I curves, spikes, speed. Channels "
                                        "are fitted one by one, at several holding potentials.")
    verb.add_argument("case", metavar="CASE", nargs="+", type=Path,
                      help="a case whose mesh is a neuron, or a morphology (.swc) with --set for what it lacks")
    verb.add_argument("--output", "-o", metavar="FILE", type=Path, required=True,
                      help="the case to write; the report's .txt, .csv and .html lie beside it")
    verb.add_argument("--sites", metavar="N", type=int,
                      help="places to keep, chosen where the reduced cell would err most; the soma is one")
    verb.add_argument("--at", metavar="PLACES", default="", help='places to keep: "dend[3](0.5), apic[2](1)"')
    verb.add_argument("--method", choices=("impedance", "cylinders"), default="impedance",
                      help="impedance: a compartment at each place, by least squares (default); cylinders: one for "
                           "each tree on the soma")
    verb.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the case")
    verb.set_defaults(verb=verbs.do_reduce)

    verb = words.add_parser("tune-waves", help="measure what the calibrated diffusion operator needs of a model",
                            description="Measure by plane waves how strongly a model's fronts need the diffusion "
                                        "operator corrected, alpha(q), and keep it for runs with waves = "
                                        '"calibrated" that have the same model, parameters and time steps.')
    add_steps(verb)
    verb.add_argument("--output", "-o", metavar="FILE", type=Path,
                      help="the file to add the table to; NAME.waves beside NAME.model serves all who use the model "
                           "(default: the cache)")
    verb.set_defaults(verb=verbs.do_tune_waves)

    def add_strand(verb: argparse.ArgumentParser) -> None:
        add_steps(verb)
        verb.add_argument("--waves", choices=("calibrated", "fourth_order", "lumped", "consistent"),
                          default="calibrated", help="tissue.waves of the case (default: calibrated, as in the plane "
                                                     "and in space)")
        verb.add_argument("--beta", metavar="VALUE", default="140 /mm",
                          help="membrane surface per tissue volume (default: 140 /mm)")
        verb.add_argument("--threshold", metavar="VOLTAGE", default="-40 mV",
                          help="a wave is where V rises through this (default: -40 mV)")

    verb = words.add_parser("tune-cv", help="find conductivities that give waves the wanted velocities",
                            description="Find the monodomain conductivities with which waves have the wanted "
                                        "velocities on the wanted mesh and in its time steps, by runs of strands, the "
                                        "last of which is the proof.")
    add_strand(verb)
    verb.add_argument("--velocity", metavar="VELOCITY", nargs="+", required=True,
                      help='along fibre, sheet and normal: "0.6 m/s" "0.25 m/s"')
    verb.add_argument("--dx", metavar="LENGTH", nargs="+", required=True, help="node spacing: one for all, or one each")
    verb.add_argument("--tolerance", metavar="PART", type=_positive, default=1e-3,
                      help="of the velocity (default: 0.001)")
    verb.set_defaults(verb=verbs.do_tune_cv)

    verb = words.add_parser("cv-restitution", help="velocity and APD of a strand against the diastolic interval",
                            description="Pace a strand at shorter and shorter cycle lengths, and measure velocity, "
                                        "APD and diastolic interval of the last beat at each.")
    add_strand(verb)
    verb.add_argument("--conductivity", metavar="VALUE", required=True, help='monodomain conductivity, "1.3 mS/cm"')
    verb.add_argument("--dx", metavar="LENGTH", required=True, help="node spacing")
    verb.add_argument("--from", metavar="TIME", required=True, help="the longest cycle length")
    verb.add_argument("--to", metavar="TIME", required=True, help="the shortest")
    verb.add_argument("--step", metavar="TIME", default="20 ms", help="from one to the next (default: 20 ms)")
    verb.add_argument("--beats", metavar="N", type=_count, default=4, help="at each cycle length (default: 4)")
    verb.add_argument("--out", metavar="DIR", type=Path, help="the folder of the results (default: "
                                                              "runs/cv-restitution)")
    verb.set_defaults(verb=verbs.do_cv_restitution)
    return parser, dict(words.choices)


def _add_view(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", metavar="RUN", nargs="+", type=Path, help="a run directory, such as runs/bench")
    verb.add_argument("--output", "-o", metavar="FILE", type=Path,
                      help="the page to write (default: view.html in the first run's folder)")
    verb.add_argument("--open", action="store_true", help="open it in the browser")
    verb.add_argument("--rows", metavar="N", type=int,
                      help="rows of a run in the page at most (default: 100000); of more, extremes are kept")
    verb.add_argument("--probes", action="store_true", help="the page of probes, of a run with snapshots, too")
    made = verb.add_argument_group("what to make")
    for name, text in (("page", "the mesh and its snapshots to turn, cut and play: .html"),
                       ("film", "the snapshots as a film: .mp4 or .gif"),
                       ("picture", "the snapshots at six moments, or those of --at: .png"),
                       ("fronts", "the wave fronts inside a volume at the times of --at, or a few: .png, or .vtu for "
                                  "ParaView"),
                       ("space-time", "along the way from the start of a neuron or cable to a tip, over time: .png"),
                       ("traces", "the probes over time: .png"), ("raster", "spikes, a row for each site: .png"),
                       ("features", "what eFEL measures of V of the probes: .csv")):
        made.add_argument(f"--{name}", metavar="FILE", type=Path, help=text)
    how = verb.add_argument_group("how")
    how.add_argument("--variable", metavar="NAME", help="a variable of the snapshots (default: the first)")
    how.add_argument("--range", metavar=("LOW", "HIGH"), nargs=2, type=_number,
                     help="values of the first and the last colour (default: all that is shown)")
    for name, text in (("from", "the first time that is shown"), ("to", "the last time"),
                       ("every", "time between frames; a multiple of the snapshots'")):
        how.add_argument(f"--{name}", metavar="TIME", help=f'{text}, such as "20 ms"')
    how.add_argument("--at", metavar="TIMES", default=None, help='moments of --picture and --fronts: "5 ms, 10 ms"')
    how.add_argument("--fps", metavar="N", type=_number, help="frames of the film a second (default: 20)")
    how.add_argument("--clip", metavar="HALF", help='what is kept of the mesh: "x < 10 mm"; solids are closed there')
    how.add_argument("--isochrones", action="store_true", help="lines of equal activation time")
    how.add_argument("--fibres", action="store_true", help="short lines along the fibres")
    how.add_argument("--curves", metavar="NAMES",
                     help='what stands beneath: leads ("II, V5"), probes ("soma.V"), or none (default: the leads of '
                          "an electrocardiogram, where there is one)")
    how.add_argument("--angles", metavar=("AZIMUTH", "ELEVATION"), nargs=2, type=_number,
                     help="where the viewer stands, degrees: from x around z, and above the plane of x and y")
    how.add_argument("--width", metavar="PIXELS", type=int, help="of films and pictures (default: 900)")
    how.add_argument("--triangles", metavar="N", type=int, help="of the surface at most (default: 60000)")
    how.add_argument("--tip", metavar="SECTION", help="where --space-time ends (default: the farthest tip)")
    how.add_argument("--feature", metavar="NAMES", help='of --features: "AP_amplitude, AHP_depth"')
    how.add_argument("--window", metavar="TIMES", help='of --features, start and end of the input: "20 ms, 70 ms" '
                                                       "(default: the first stimulus)")
    verb.set_defaults(verb=verbs.do_view)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}")
    return value


def _positive(text: str) -> float:
    if not (value := _number(text)) > 0.0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value
