/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attempt by TCP: connect, one line there, one line back. The time until the answer includes
 * the handshake. A line of `size` bytes fills segments of the full size when that is larger than
 * they are; TCP itself sets DF and finds the path's MTU, unless df is false.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli/probe/socket.h"
#include "cli/probe/try.h"
#include "lib/mem.h"

static int open_tcp(struct probe_try *t, const struct ns *ns, struct err *e)
{
	t->watch.fd = probe_socket(ns, t->to.family, SOCK_STREAM, 0, e);
	if (t->watch.fd < 0)
		return t->watch.fd;
	if (t->has_df)
		probe_socket_set_df(t->watch.fd, t->to.family, t->df);
	if (t->size < PROBE_MESSAGE_MIN)
		t->size = PROBE_MESSAGE_MIN;
	struct probe_message m = {.df = t->df};
	memcpy(m.nonce, t->nonce, sizeof(m.nonce));
	t->text = mem_new(PROBE_MESSAGE_MAX + 1, 1);
	probe_message_format(&m, t->text, t->size);
	t->text[t->size] = '\n';
	t->text_len = t->size + 1;
	return 0;
}

static void connect_tcp(struct probe_try *t)
{
	struct sockaddr_storage name;
	socklen_t len = probe_socket_name(&t->to, t->port, &name);
	if (connect(t->watch.fd, (struct sockaddr *)&name, len) == 0 || errno == EINPROGRESS)
		return;
	probe_try_failed(t, errno, 0, NULL);
	t->done = true;
}

static void send_line(struct probe_try *t)
{
	while (t->text_done < t->text_len) {
		ssize_t n = send(t->watch.fd, t->text + t->text_done, t->text_len - t->text_done,
			MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			probe_try_failed(t, errno, 0, NULL);
			t->done = true;
			return;
		}
		t->text_done += (size_t)n;
	}
	t->text_len = 0; /* from now on: what came */
	probe_watch_change(t->probe, &t->watch, EPOLLIN);
}

static void take_line(struct probe_try *t, size_t len)
{
	struct probe_message m;
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	if (!probe_message_parse(t->text, len, &m) || !m.is_answer ||
		strcmp(m.nonce, t->nonce) != 0) {
		probe_try_failed(t, EPROTO, 0, NULL);
		t->done = true;
		return;
	}
	if (getsockopt(t->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
		t->mss = info.tcpi_snd_mss;
	probe_try_answered(t, 0, &m.source);
}

static void read_line(struct probe_try *t)
{
	while (!t->done) {
		size_t room = PROBE_MESSAGE_MAX + 1 - t->text_len;
		ssize_t n = recv(t->watch.fd, t->text + t->text_len, room, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		const char *end = n > 0 ? memchr(t->text + t->text_len, '\n', (size_t)n) : NULL;
		t->text_len += n > 0 ? (size_t)n : 0;
		if (end) {
			take_line(t, (size_t)(end - t->text));
		} else if (n <= 0 || t->text_len > PROBE_MESSAGE_MAX) {
			probe_try_failed(t, n < 0 ? errno : n == 0 ? ECONNRESET : EPROTO, 0, NULL);
			t->done = true;
		}
	}
}

static void receive_tcp(struct probe_try *t)
{
	int error = 0;
	socklen_t size = sizeof(error);
	(void)getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (t->done)
		return;
	if (error) {
		probe_try_failed(t, error, 0, NULL);
		t->done = true;
		return;
	}
	struct tcp_info info = {0};
	size = sizeof(info);
	(void)getsockopt(t->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	if (!t->connected && info.tcpi_state == TCP_SYN_SENT)
		return;
	t->connected = true;
	if (t->text_done <= t->size)
		send_line(t);
	if (t->text_done > t->size && !t->done)
		read_line(t);
}

const struct probe_try_kind probe_try_tcp = {
	.name = "tcp",
	.has_port = true,
	.open = open_tcp,
	.send = connect_tcp,
	.receive = receive_tcp,
	.events = EPOLLOUT,
};
