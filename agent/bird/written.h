/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a text of ours says: after a start the file that is in force knows what an earlier roostd told
 * BIRD. Pure.
 */
#include <stddef.h>

#include "lib/addr.h"
#include "lib/family.h"

/* The prefixes of a static protocol, "kept" for roost_kept4 and roost_kept6, in the order of the text;
 * *out is the caller's to free. Lines that are no routes are passed over. */
size_t bird_written_routes(
	const char *text, const char *protocol, enum family f, struct cidr **out);
