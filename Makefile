# make sweep and make test build what they need; both work again when called again.
# PYTHON=python3.12 picks another interpreter, VENV another place, ARGS="--preset report" other options of the sweep.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
COMMITS ?= HEAD~5..HEAD
BASE ?= origin/main
# A Python that the peers can be installed on; EMToolKit wants 3.12 itself.
NEWER ?= $(shell for p in python3.12 "$$HOME"/.pyenv/versions/3.12.*/bin/python3 python3.13 python3.14 $(PYTHON); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && { echo "$$p"; break; }; done)
PEERS := $(VENV)-peers
LOWEST := $(VENV)-lowest

.PHONY: sweep test test-newer test-long test-lowest mutations data peers gpu-check selfcheck busy soak readme reference profile methods instructions heldout cluster prior reference-steps overhead notebooks docs docs-links diagrams full-frame full-disc chunks real-time scheduling history regression clean

sweep: $(VENV)/.installed
	$(BIN)/python -m harness.sweep $(ARGS)

# At most ten minutes on two cores; the same inputs in every run.
test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal --hypothesis-profile=ci
	@if [ -e $(PEERS)/.installed ]; then $(MAKE) --no-print-directory test-newer; \
	else echo "no newer Python is set up beside this one: make test-newer tests the peers there, make peers measures them"; fi

# The peers, and sunpy and ndcube opening maps, need a newer Python than 3.11; setting it up takes a minute.
test-newer:
	@if [ -z "$(NEWER)" ]; then echo "no Python 3.12 or newer is found: the peers' tests are skipped"; \
	elif ! $(MAKE) --no-print-directory $(PEERS)/.installed; then echo "so the peers' tests are skipped"; \
	else $(PEERS)/bin/python -m pytest -n 2 tests/implementations/test_peers.py tests/implementations/aia/test_maps.py tests/implementations/calls/test_containers.py; fi

# For a release: the tests marked slow, which draw new inputs, the oldest libraries, and the mutations. At most an hour.
test-long: $(VENV)/.installed-dev test-lowest mutations
	$(BIN)/python -m pytest -m slow

# What a solver's answer or a sweep's table could change by. Old libraries use what newer ones beneath them deprecate.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -W ignore::DeprecationWarning -m "not slow" -n 2 --hypothesis-profile=ci tests/implementations tests/commands/test_sweep.py

# Whether tests notice faults put into the judge and the timed path, one at a time: minutes (docs/trust.md).
mutations: $(VENV)/.installed-dev
	$(BIN)/python tests/support/mutations.py

# Real AIA images and AIA's response, as data on any Python, into .cache/; and astropy, which reads them.
data: $(VENV)/.installed-aia
	@$(BIN)/python -m harness.upkeep.data

# Ours beside others' solvers on real images and on AIA's response with a known truth, one thread each, then both methods
# on the other workloads with a truth, then the whole disc on two cores for the solvers that need seconds for it: a quarter
# of an hour, the machine otherwise idle. A peer that fails is a row with its error, exit code 3.
peers:
	@test -n "$(NEWER)" || { echo "make peers needs Python 3.12 or newer, as demregpy and utu do: none is found (set NEWER=...)"; exit 1; }
	@$(MAKE) --no-print-directory $(PEERS)/.installed
	rm -rf results/reference-peers results/reference-peers-known results/reference-peers-disc
	$(PEERS)/bin/python -m harness.sweep --dataset aia-image,aia,aia-image.flare-before,aia-image.flare-peak \
		--pixels 2000 --bins 34 --max-seconds 60 --out results/reference-peers --solvers \
		'baseline,numba,numba-float32,l2,plowman,demregpy,utu,emtoolkit,demregpy[mask=false],utu[mask=false],emtoolkit[mask=false]' \
		|| test $$? -eq 3
	$(PEERS)/bin/python -m harness.sweep --dataset gaussian-response,solar-mix,random-response --pixels 2000 --bins 34 --max-seconds 20 \
		--solvers baseline,numba,utu,plowman --out results/reference-peers-known
	$(PEERS)/bin/python -m harness.sweep --dataset aia-image --pixels 1048576 --bins 34 --threads 2 --max-seconds 150 \
		--solvers numba,numba-float32,l2,plowman,utu --out results/reference-peers-disc
	$(PEERS)/bin/python -m harness.reports.readme
	$(PEERS)/bin/python -m harness.reports.peers_table

# On a machine with an NVIDIA device and CuPy: ARGS="--part correctness", then "--part speed"; installs nothing.
gpu-check:
	@$(PYTHON) -m harness.upkeep.gpu_check $(ARGS)

# Ten minutes; ARGS=--full: hours, and goes on where it ended.
selfcheck: $(VENV)/.installed
	$(BIN)/python -m harness.selfcheck $(ARGS)

# The same solvers on a machine as it is and beside four processes that keep its two cores busy, for docs/trust.md: what
# compare says of the two. Eight minutes, the machine otherwise idle.
BUSY = --max-seconds 30 --pixels 50,200,1000 --bins 34 --solvers baseline,vectorized,batched,l2,numba,numba-float32,numpy-regmap,numba-regmap,plowman,'numba[threads=2]'
busy: $(VENV)/.installed
	rm -rf results/reference-quiet results/reference-busy
	$(BIN)/python -m harness.sweep $(BUSY) --out results/reference-quiet
	trap 'kill $$burners' EXIT; for i in 1 2 3 4; do $(BIN)/python -c 'while True: pass' & burners="$$burners $$!"; done; \
		$(BIN)/python -m harness.sweep $(BUSY) --out results/reference-busy
	$(BIN)/python -m harness.reports.readme
	rm -rf results/reference-quiet/plots results/reference-busy/plots
	-$(BIN)/python -m harness.compare results/reference-quiet results/reference-busy --all

# An hour of sweeps in one process beside two burners, for docs/trust.md; any busy machine.
soak: $(VENV)/.installed
	mkdir -p results/soak
	$(BIN)/python -m harness.soak --json > results/soak/soak.json || test $$? -eq 1
	$(BIN)/python -m harness.reports.readme

# The runs that the README's table is made from: an hour on one core, the machine otherwise idle. The baseline's one run on
# 5000 pixels x 400 bins takes a quarter of it, longer than a solver is otherwise waited for.
reference: export DEMREG_BENCH_HANG_S ?= 2400
reference: $(VENV)/.installed
	rm -rf results/reference results/reference-loci results/reference-regmap results/reference-threads
	$(BIN)/python -m harness.sweep --preset report --bins 34,200,400 --max-seconds 40 \
		--solvers baseline,vectorized,batched,l2,numba,numba-float32 --out results/reference
	$(BIN)/python -m harness.sweep --dataset random-response-loci --pixels 200,1000 --bins 34,200,400 --max-seconds 25 \
		--solvers baseline,vectorized,batched,l2,numba,numba-float32 --out results/reference-loci
	$(BIN)/python -m harness.sweep --pixels 200 --bins 34,200 --threads 2 --max-seconds 25 \
		--solvers baseline,numba-regmap,numba-regmap-parallel --out results/reference-regmap
	$(BIN)/python -m harness.sweep --pixels 10000,100000 --bins 34,200 --repeats 15 --max-seconds 60 \
		--solvers 'numba[threads=1],numba[threads=2],numba-float32,l2' --out results/reference-threads
	$(MAKE) readme

# One step alone in all its forms, the whole with that step replaced, and the first calls of a fresh process, for
# docs/steps.md and docs/profiling.md: some minutes, the machine otherwise idle.
reference-steps: $(VENV)/.installed
	rm -rf results/reference-steps results/reference-steps-whole results/reference-cold
	$(BIN)/python -m harness.sweep --step regularisation --pixels 1,10,100,1000 --bins 34 --nmu 42,500 --max-seconds 8 \
		--solvers 'published,numpy,numba,numba-parallel[threads=2],cupy,fused' --out results/reference-steps
	$(BIN)/python -m harness.sweep --pixels 1,100 --bins 34 --nmu 500 --threads 2 --max-seconds 10 \
		--solvers baseline,numpy-regmap,numba-regmap,numba-regmap-parallel,cupy-regmap,numba --out results/reference-steps-whole
	rm -rf results/reference-steps/plots results/reference-steps-whole/plots
	$(BIN)/python -m harness.profile numba --cold --pixels 200 --bins 34 --out results/reference-cold
	$(BIN)/python -m harness.reports.readme

# Where the time of the baseline and of numba goes, for docs/profiling.md; a minute on one core, the machine otherwise
# idle. A prof file is remade, not kept.
profile: $(VENV)/.installed
	rm -rf results/reference-profile results/reference-profile-numba
	$(BIN)/python -m harness.profile baseline --pixels 40 --bins 200 --out results/reference-profile
	$(BIN)/python -m harness.profile numba --pixels 10000 --bins 200 --out results/reference-profile-numba
	$(BIN)/python -m harness.predict --json > results/reference-profile-numba/predict.json

# Fit, error bars and misfit of both methods, for docs/methods.md: a minute on any busy machine, rates being make peers'.
methods:
	@test -n "$(NEWER)" || { echo "make methods needs Python 3.12 or newer, as utu does: none is found (set NEWER=...)"; exit 1; }
	@$(MAKE) --no-print-directory $(PEERS)/.installed
	$(PEERS)/bin/python -m harness.upkeep.misfit --out results/reference-methods/misfit.json
	$(PEERS)/bin/python -m harness.upkeep.coverage --out results/reference-methods/coverage.json --draw plots/coverage.svg
	$(PEERS)/bin/python -m harness.reports.readme

# Instructions that solvers execute beside the operations that are counted, by callgrind; minutes, on any busy machine.
instructions: $(VENV)/.installed
	@command -v valgrind >/dev/null || { echo "make instructions needs valgrind; on Debian: apt-get install valgrind"; exit 1; }
	mkdir -p results/reference-instructions
	$(BIN)/python -m harness.instructions --json > results/reference-instructions/instructions.json

# Predictions against sizes that the reference runs don't have; some ten minutes on one core, the machine otherwise idle.
heldout: $(VENV)/.installed
	rm -rf results/reference-heldout
	$(BIN)/python -m harness.sweep --pixels 500,3000 --bins 34,100,300 --repeats 5 --max-seconds 40 \
		--solvers baseline,vectorized,batched,l2,numba,numba-float32 --out results/reference-heldout
	$(BIN)/python -m harness.recommend results/reference results/reference-heldout --check results/reference-heldout

# Dask's threads on this machine's cores, for docs/cluster.md, and what the ways to start workers cost the baseline; some
# minutes, the machine otherwise idle.
cluster: $(VENV)/.installed
	rm -rf results/cluster results/reference-workers
	$(BIN)/python -m harness.sweep --preset cluster --pixels 300000,600000 --repeats 15 --out results/cluster
	$(BIN)/python -m harness.sweep --pixels 200,2000 --bins 34 --threads 2 --max-seconds 60 --out results/reference-workers \
		--solvers 'baseline,baseline[executor=threads,workers=2],baseline[executor=process-pool,workers=2],baseline[executor=loky,workers=2],baseline[executor=loky-mapped,workers=2],dask-delayed[inner=baseline],dask[inner=baseline]'

# What the prior studies recommend, measured, for docs/prior-work.md: processes beside each other on the cores, what starting
# workers costs, and reading ahead. Five minutes, the machine otherwise idle.
prior: $(VENV)/.installed-dev
	rm -rf results/reference-prior results/reference-contention results/reference-starting results/reference-prefetch
	$(BIN)/python -m harness.sweep --pixels 200 --bins 200 --threads 2 --repeats 5 --max-seconds 120 --out results/reference-prior \
		--solvers 'baseline,dask[inner=baseline,workers=2],gpu-l2,cupy'
	$(BIN)/python -m harness.sweep --preset contention --out results/reference-contention
	$(BIN)/python -m harness.upkeep.experiments.starting
	$(BIN)/python -m harness.upkeep.experiments.prefetch
	$(MAKE) readme

# What the harness takes between the solves that it times, for docs/trust.md; half a minute, the machine otherwise idle.
overhead: $(VENV)/.installed
	$(BIN)/python -m harness.upkeep.experiments.overhead

# A map of 4096 x 4096 pixels from one Zarr store to another, within 4 GiB: minutes, and 18 GB of disk meanwhile.
full-frame: $(VENV)/.installed-dev
	$(BIN)/python -m harness.upkeep.full_frame $(ARGS)

# AIA's full disc from FITS to FITS and to Zarr, beside the kernel alone and writing alone: minutes, and 16 GB of disk
# meanwhile; the machine otherwise idle. make readme puts it into docs/solar.md and docs/scale.md. A quick try that keeps
# the record: ARGS="--side 1024 --rounds 1 --out /tmp/full-disc"
full-disc: $(VENV)/.installed-dev data
	$(BIN)/python -m harness.upkeep.full_disc $(ARGS)

# Chunk sizes and codecs of maps, Zarr to Zarr, for docs/scale.md: minutes, the machine otherwise idle.
chunks: $(VENV)/.installed-dev
	$(BIN)/python -m harness.upkeep.experiments.chunks $(ARGS)

# numba beside the commit before its factorisation did without an SVD, 16 to 400 bins, for docs/scale.md: some twenty
# minutes, the machine otherwise idle. Slower rows (8) are a record, too.
real-time: BESIDE = $(BIN)/python -m harness.regression b5957a0 --dataset aia,aia-image,random-response,random-response-loci \
	--pixels 10000 --bins 16,34,64,100,200,400 --max-seconds 4 --json
real-time: $(VENV)/.installed data
	rm -rf results/reference-real-time build/real-time && mkdir -p results/reference-real-time build/real-time
	$(BESIDE) --solvers 'numba[threads=1]' > build/real-time/one.json || test $$? -eq 8
	$(BESIDE) --solvers 'numba[threads=2]' > build/real-time/two.json || test $$? -eq 8
	mv build/real-time/*.json results/reference-real-time
	$(BIN)/python -m harness.reports.readme

# What Dask's scheduler costs per block, for docs/scale.md: 100,000 blocks that only wait; ten minutes on an idle machine.
scheduling: $(VENV)/.installed
	$(BIN)/python -m harness.upkeep.experiments.scheduling $(ARGS)

# The README's tables, and the page and figures in plots/, from the committed runs.
readme: $(VENV)/.installed
	$(BIN)/python -m harness.reports.readme
	$(BIN)/python -m harness.report --out plots results/reference-peers results/reference results/reference-loci results/reference-threads

# The notebooks with their outputs, from the committed runs and AIA's images: minutes. Figures also go
# to figures/ in the run's folder, as PNG and SVG.
notebooks: $(VENV)/.installed-notebooks data
	$(BIN)/python -m harness.upkeep.notebooks

# The documentation site, in build/site: open build/site/index.html. Half a minute.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs/site -d build/doctrees . build/site
	@echo "build/site/index.html"

# Links of the site that lead elsewhere; needs the network.
docs-links: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -q -b linkcheck -c docs/site -d build/doctrees . build/links

# The site's pictures of the pages' Mermaid diagrams, when one was changed; needs npm and Chromium.
diagrams: $(VENV)/.installed-dev
	npm install --silent --no-save --prefix build/mermaid mermaid@11
	$(BIN)/python docs/site/draw_diagrams.py build/mermaid/node_modules/mermaid/dist/mermaid.min.js

# For a pull request: make regression BASE=<commit>; exit codes: 8 slower, 16 gate violated, 32 failed, or their sum.
# make itself ends with 2 and says the code; python -m harness.regression <commit> hands it on.
regression: $(VENV)/.installed
	$(BIN)/python -m harness.regression $(BASE) $(ARGS)

# This project's own commits, watched by airspeed velocity: make history COMMITS=HEAD~5..HEAD
history: $(VENV)/.installed-asv
	$(BIN)/python -m harness.upkeep.track $(COMMITS)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "demreg-bench needs Python 3.11 or newer: $(PYTHON) is not on the PATH (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "demreg-bench needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V) (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

INSTALL := -m pip install -q --disable-pip-version-check
NO_INDEX := is a Python package index within reach (network, proxy)?

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(BIN)/python $(INSTALL) -c constraints.txt -e . || { echo "installing demreg-bench failed: $(NO_INDEX)"; exit 1; }
	@touch $@

# With an extra of pyproject.toml: dev, aia, asv.
$(VENV)/.installed-%: $(VENV)/.installed
	@$(BIN)/python $(INSTALL) -c constraints.txt -e '.[$*]' || { echo "installing demreg-bench[$*] failed: $(NO_INDEX)"; exit 1; }
	@touch $@

# The oldest libraries that pyproject.toml allows.
$(LOWEST)/.installed: pyproject.toml
	@$(PYTHON) -m venv $(LOWEST)
	@grep -oE '"[A-Za-z0-9_.-]+(\[[a-z,]+\])?>=[0-9.]+' pyproject.toml | sed -E 's/"([A-Za-z0-9_.-]+).*>=/\1==/' > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python $(INSTALL) -c $(LOWEST)/lowest.txt -e '.[dev]' || { echo "the lower bounds in pyproject.toml don't go together, or: $(NO_INDEX)"; exit 1; }
	@touch $@

# EMToolKit asks for notebooks and downloads that its solver doesn't use; without it the others run all the same.
$(PEERS)/.installed: pyproject.toml constraints.txt
	@$(NEWER) -m venv $(PEERS)
	@$(PEERS)/bin/python $(INSTALL) -c constraints.txt -e '.[peers]' pytest pytest-xdist || { echo "installing the peers failed: $(NO_INDEX)"; exit 1; }
	@$(PEERS)/bin/python $(INSTALL) -c constraints.txt --no-deps EMToolKit || echo "EMToolKit can't be installed on $(NEWER)"
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(LOWEST) dist
