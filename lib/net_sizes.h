/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bounds that the kernel sets for what plain values hold of its network, without the socket of
 * lib/net.h.
 */
#define NET_NAME 16   /* IFNAMSIZ: a link's name */
#define NET_ALIAS 256 /* IFALIASZ: a link's alias */
