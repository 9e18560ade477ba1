/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lock of a folder that many processes share and few want for themselves, in a file of its own.
 * Who wants to be alone is not starved: from the moment he waits, those who come later let him pass.
 *
 * The bound: he waits for those who have the lock, and each of these and of those who are just
 * taking it once. Who comes later waits LOCK_GATE_MS at most for him, even if somebody who has the
 * lock never gives it back; then there is another try, after as long a time for the others. Waits can
 * be long: call under a timer (lib/deadline.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define LOCK_GATE_MS 5000

enum lock_kind {
	LOCK_SHARED,
	LOCK_AT_ONCE, /* shared, past those who wait to be alone: for whom a holder may wait himself */
	LOCK_ALONE,
};

/* Opens the file (making it, 0600) and locks it. Returns the descriptor; closing it unlocks. A file that
 * is no plain one, or has another name, is refused as file_open() does. */
int lock_take(const char *path, enum lock_kind kind, struct err *e);

/* Another kind of an open lock. Until it is there nothing is held. */
int lock_change(int fd, const char *path, enum lock_kind kind, struct err *e);

/* Within an open lock: one of 2^62 slots, exclusive, until the descriptor is closed. For things that
 * must not happen twice at once, each with the slot of its hash. */
int lock_slot(int fd, uint64_t slot, struct err *e);

/* The same without waiting: 1, or 0 when somebody else has it. */
int lock_try_slot(int fd, uint64_t slot, struct err *e);
