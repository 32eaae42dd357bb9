# Copyright moe-gps contributors.
# SPDX-License-Identifier: Apache-2.0
# A Spack package for a repository of your own:
# Untried so far, as Spack's packages were out of reach.
#   spack repo create moegps-repo && mkdir -p moegps-repo/packages/moegps
#   cp jobs/slurm/spack/package.py moegps-repo/packages/moegps/
#   spack repo add moegps-repo && spack dev-build moegps@main   (in the sources)
from spack.package import *


class Moegps(MakefilePackage):
    """MPI benchmark of expert-load prediction and expert duplication for
    Mixture-of-Experts models."""

    maintainers("moegps")
    license("Apache-2.0")

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("hdf5@1.10.8:+mpi+hl")
    depends_on("hwloc@2:")
    depends_on("onednn@2.6:")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("random123")
    depends_on("openssl")
    depends_on("zlib-api")
    depends_on("check", type="test")
    depends_on("gnuplot", type="run", when="+figures")

    variant("figures", default=False, description="figures in reports")

    def settings(self):
        mpi, hdf5 = self.spec["mpi"], self.spec["hdf5"]
        return [f"CC={mpi.mpicc}", f"MPI={mpi.prefix}", f"HDF5={hdf5.prefix}",
                f"PREFIX={self.prefix}"]

    def build(self, spec, prefix):
        make("moegps", *self.settings())

    def install(self, spec, prefix):
        make("install", *self.settings())

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_install(self):
        Executable(self.prefix.bin.moegps)("doctor")
