/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON that an API server hands on and our parser refuses, made such that it takes it: a single value in
 * one object must not make a whole list, or every later event of a watch, unreadable. Whoever may write an
 * annotation of a pod could do that. Pure.
 */
#include <stddef.h>

/* In place; the length stays. What is no JSON is no JSON afterwards.
 *	"\u0000" in a text		becomes U+FFFD
 *	a whole number beyond 64 bits	becomes a fraction of about that value
 *	what is nested deeper than JSON_MAX_NESTING levels	becomes 0 */
void kube_mend(char *bytes, size_t len);
