/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A conformance run, phase by phase: probes, pods, checks, causes, and everything taken away again.
 */
#include "cli/conform/check.h"
#include "cli/conform/probes.h"
#include "cli/conform/file.h"
#include "cli/conform/report.h"

struct conform_run {
	const struct conform_file *file;
	struct conform_cluster cluster; /* the store's part is there from the start */
	struct conform_probes probes;
	struct conform_checks checks;
	enum conform_format format;
	struct conform_progress progress;
	struct conform_totals facts;
};

/* All of it. Afterwards no probe runs and the checks are complete, as far as they were made. An
 * error: nothing was begun. */
int conform_run_execute(struct conform_run *r, struct err *e);
void conform_run_done(struct conform_run *r); /* takes CONFORM_PROBES_CLOSED */

/* The tries among the checks from index first on, and why they failed. In cli/conform/tries.c and
 * cli/conform/follow.c. */
void conform_run_tries(struct conform_run *r, size_t first);
void conform_run_causes(struct conform_run *r);
