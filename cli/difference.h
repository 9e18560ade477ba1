/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The difference of two texts as diff -u prints it, three lines of context.
 */
#include <stdio.h>

/* Nothing is printed when they are the same. Lines of strangers are cleaned. */
void difference_print(FILE *f, const char *before_name, const char *before, const char *after_name,
	const char *after);
