/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The name under which a machine acts that had another one before: a name owns blocks, and pods that
 * run are reached by them. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/problems.h"

struct naming_input {
	const char *told;   /* by the settings, or the host's name */
	bool is_host;	    /* it is the host's: nobody chose it */
	const char *before; /* what the file of the data folder says; "": nothing */
	bool other_machine; /* that wrote this file */
	uint64_t used;	    /* addresses of its blocks */
};

/* The name, one of the two of the input. why: what to tell people as long as it is not the one that
 * was told; else "". */
const char *naming_choose(const struct naming_input *in, char why[PROBLEM_TEXT]);
