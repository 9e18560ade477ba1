/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From what came of a try to the verdict. Pure.
 */
#include "cli/conform/check.h"

/* REACH and TOO_BIG. */
void conform_judge(
	const struct conform_cluster *c, const struct conform_outcome *o, struct conform_check *k);
/* ARRIVE and REPEL: how often the other end heard it, and from whom. */
void conform_judge_heard(
	const struct conform_cluster *c, const struct conform_heard *h, struct conform_check *k);
/* The try was not made, or nobody knows what came of it: skipped when the probe is gone, failed when
 * it refused. */
void conform_judge_untried(bool is_lost, const char *problem, struct conform_check *k);
