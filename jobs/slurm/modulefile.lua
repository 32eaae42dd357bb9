-- An Lmod module: copy to a folder of MODULEPATH as moegps/1.0.lua and set root
-- to where `make PREFIX=... install` put the program.
help([[Benchmark of expert-load prediction and duplication for Mixture-of-Experts models]])
whatis("Name: moegps")
whatis("Category: benchmark")
local root = os.getenv("MOEGPS_ROOT") or "/usr/local"
-- Load what it was built with, for example:
-- depends_on("openmpi", "hdf5", "hwloc", "onednn")
prepend_path("PATH", pathJoin(root, "bin"))
setenv("MOEGPS_ROOT", root)
