/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an object's status says of it: the condition roost.io/Accepted. True: it is in force as it is written;
 * False: something of it is not served, and the message names each place with what holds instead. Pure.
 */
#include <jansson.h>
#include <stdint.h>

#define ACCEPTANCE_TYPE "roost.io/Accepted"
#define ACCEPTANCE_MESSAGE 4096 /* bytes; what is beyond is cut */

/* The merge patch of the status of a policy, network set or tier, which fails when the object is another one
 * meanwhile; NULL: its status says so already, or it is no such object. Conditions of others stay. wall_s: now. */
json_t *acceptance_patch(const json_t *object, int64_t wall_s);
