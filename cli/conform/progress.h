/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a conformance run is doing just now: a line on stderr that is written over, when stderr is
 * a terminal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conform_progress {
	bool on;
	const char *what;
	size_t done, all;
	uint64_t shown_ns;
};

void conform_progress_open(struct conform_progress *p);
void conform_progress_begin(struct conform_progress *p, const char *what, size_t all);
void conform_progress_step(struct conform_progress *p);
void conform_progress_clear(struct conform_progress *p); /* before something else is printed */
