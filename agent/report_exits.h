/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the agent says of exits: whether this node is one, and where its pods leave.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/desired/desired.h"
#include "agent/kernel/kernel.h"

/* As of the last pass. */
struct report_exits {
	struct cidr own[16]; /* announced */
	size_t n_own;
	bool used;
	uint32_t table;
};
void report_exits_note(struct report_exits *x, const struct desired *d);

/* With what is in the kernel's table at this moment. */
json_t *report_exits_json(const struct report_exits *x, struct kernel *k);
void report_exits_text(const struct report_exits *x, struct kernel *k, char *out, size_t size);
