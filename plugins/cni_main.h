/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The main() of a CNI executable: the request is read, run, and answered, within a time.
 */
#include "lib/cni.h"
#include "lib/err.h"

#define CNI_MAIN_DEADLINE_S 15 /* until run() starts a timer of its own: stdin may never end */

/* Returns the exit status. run() prints the result, and returns a negative errno with *e set, or
 * 0 with a late error in *late (text empty: none), which cni_read() may have set before: it
 * counts when run() succeeds. */
int cni_main(
	const char *name, int (*run)(const struct cni_request *r, struct err *late, struct err *e));
