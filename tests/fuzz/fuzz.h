/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What each fuzz target has: its entry, called by libFuzzer or replay.c, and a check that aborts.
 */
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)
