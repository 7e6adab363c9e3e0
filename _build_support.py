"""Build time only: puts the two start-up files at the root of the wheel.

An ordinary wheel takes them from the build folder. An editable one copies no package files at all; the root of its
wheel is where the ``install`` command would put libraries.
"""

from pathlib import Path

from setuptools.command import build_py as setuptools_build_py

STARTUP = Path("startup")
FILES = ("uq_harness.pth", "uq_harness.start")


class build_py(setuptools_build_py.build_py):
    """Setuptools' command that copies modules, and the start-up files after them."""

    def run(self):
        """Copies modules, then the start-up files."""
        super().run()
        root = self.get_finalized_command("install").install_lib if self.editable_mode else self.build_lib
        self.mkpath(root)
        for file in FILES:
            self.copy_file(str(STARTUP / file), str(Path(root, file)), preserve_mode=False)

    def get_outputs(self, include_bytecode=True):
        """Names of all files that this command makes."""
        made = list(super().get_outputs(include_bytecode))
        return made if self.editable_mode else made + [str(Path(self.build_lib, file)) for file in FILES]

    def get_source_files(self):
        """Names of all files that this command reads, for the source distribution."""
        return [*super().get_source_files(), *(str(STARTUP / file) for file in FILES)]
