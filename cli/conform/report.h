/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a conformance run prints: a line for each check as soon as it is judged, and at the end the
 * sum and the failures by their causes; or one document (JSON, JUnit) at the end. While it runs, what
 * it is doing just now: a line on stderr that is written over, when stderr is a terminal.
 */
#include <stdio.h>

#include "cli/conform/check.h"

enum conform_format { CONFORM_TEXT, CONFORM_JSON, CONFORM_JUNIT };

/* What is said beside the checks. */
struct conform_totals {
	size_t nodes, pods;
	bool all_pairs;
	uint64_t seed;
	uint64_t duration_ms;
	bool interrupted;
};

void conform_report_end(FILE *f, const struct conform_checks *c, const struct conform_totals *r);

void conform_report_json(FILE *f, const struct conform_checks *c, const struct conform_totals *r);
void conform_report_junit(FILE *f, const struct conform_checks *c, const struct conform_totals *r);

struct conform_progress {
	enum conform_format format;
	size_t printed; /* checks whose lines are out */
	bool on;
	const char *what;
	size_t done, all;
	uint64_t shown_ns;
};

void conform_progress_open(struct conform_progress *p, enum conform_format format);
void conform_progress_begin(struct conform_progress *p, const char *what, size_t all);
void conform_progress_step(struct conform_progress *p);
void conform_progress_clear(struct conform_progress *p); /* before something else is printed */

/* In text: lines of the checks that are judged, up to the first that is still open. */
void conform_progress_print(FILE *f, struct conform_progress *p, const struct conform_checks *c);
