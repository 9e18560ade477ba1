/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Single addresses of this node's blocks that other nodes use, as the agent keeps account of them, and the
 * steps of a loan plan.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/loan_plan.h"
#include "ipam/mirror.h"

struct agent_lending {
	struct loan_reserved reserved[MIRROR_LENT];
	size_t n_reserved;
	bool knows; /* the documents were read since it joined [A3] */
	struct loan_reading reading;
	uint64_t read_id; /* of the store's request */
};

struct agent;
struct store_event;
void know_reserved(struct agent *a); /* at the start, of the file in the data folder */
size_t list_reserved(const struct agent *a, struct cidr out[MIRROR_LENT]);

/* Takes the steps, after the blocks'. 1: a node state changed, or what is reserved in one. */
int apply_loan_plan(struct agent *a, const struct loan_plan *p, const struct mirror *m);
bool end_loan_reading(struct agent *a, const struct store_event *ev); /* true: it was of one */
