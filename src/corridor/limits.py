# SPDX-License-Identifier: Apache-2.0
"""Every limit of Corridor, each overridable in `[limits]` and shown by `corridor limits`.

Names end in the unit. Precedents stand beside the numbers that have one.
"""

from __future__ import annotations

from dataclasses import dataclass

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this node takes at most, and how long it waits."""

    # what comes in over HTTP
    header_bytes_max: int = 32 * KiB  # nginx 4 x 8 KiB, Tomcat 8 KiB
    header_count_max: int = 100  # Apache 100
    message_bytes_max: int = 1 * MiB  # nginx 1 MiB
    json_depth_max: int = 32
    json_string_bytes_max: int = 64 * KiB
    json_items_max: int = 10_000
    name_chars_max: int = 1024  # ids of processes, messages, policies; as DIDs
    headers_read_s: float = 10.0  # Apache 20 s
    body_read_s: float = 10.0
    idle_connection_s: float = 5.0  # uvicorn 5 s
    requests_under_way_max: int = 512
    connections_max: int = 4096
    peer_requests_per_s: int = 200
    peer_requests_burst: int = 1000
    address_requests_per_s: int = 10
    address_requests_burst: int = 50

    # catalogue
    catalog_page_offers_max: int = 100  # EDC pages 50
    catalog_page_bytes_max: int = 512 * KiB
    catalog_answer_bytes_max: int = 8 * MiB
    catalog_pages_followed_max: int = 1000
    catalog_read_bytes_max: int = 64 * MiB  # all pages of one partner
    catalog_rows_looked_at_max: int = 1000
    catalog_cache_s: float = 60.0
    find_assets_per_partner_max: int = 10_000

    # conversations
    processes_per_peer_max: int = 100
    processes_per_participant_max: int = 10_000
    negotiation_messages_max: int = 100
    counter_offers_max: int = 10  # else two machines haggle for ever
    outbox_rows_per_peer_max: int = 200
    refusals_noted_per_peer_per_minute: int = 60
    turn_waiters_max: int = 16
    turn_wait_s: float = 2.0
    conflict_retries_max: int = 3

    # delivery
    deliver_per_peer_max: int = 8  # browsers 6 a host
    deliver_per_node_max: int = 64
    deliver_dead_after_s: float = 24 * 3600.0
    deliver_withdrawal_dead_after_s: float = 7 * 24 * 3600.0
    answer_first_s: float = 5.0  # a reply's row waits so long for our answer to be handed over
    settle_window_s: float = 10.0
    retry_after_s_max: float = 3600.0
    peer_down_after_failures: int = 5

    # waiting for others
    requested_wait_s: float = 30 * 86400.0
    offered_wait_s: float = 7 * 86400.0
    step_wait_s: float = 72 * 3600.0
    approval_wait_s: float = 30 * 86400.0
    transfer_open_wait_s: float = 600.0
    suspended_wait_s: float = 30 * 86400.0

    # fetching
    fetch_connect_s: float = 5.0
    fetch_total_s: float = 10.0
    fetch_push_silence_s: float = 60.0
    did_document_bytes_max: int = 64 * KiB
    did_chars_max: int = 1024
    did_keys_max: int = 20
    did_services_max: int = 20
    fetch_per_host_max: int = 8
    fetch_per_node_max: int = 64
    fetch_waiting_max: int = 16
    fetch_per_source_max: int = 2  # while a token is not verified
    fetch_per_source_per_minute: int = 30
    fetch_sources_max: int = 10_000
    dns_cache_s: float = 60.0

    # tokens
    token_bytes_max: int = 16 * KiB
    token_jti_chars_max: int = 256
    token_life_s: float = 300.0  # EDC 5 min; the kit 10 min
    token_life_accepted_s: float = 900.0
    token_leeway_s: float = 5.0
    did_cache_s: float = 300.0  # EDC 5 min
    did_failure_cache_s: float = 10.0
    did_cache_entries_max: int = 2000  # with their bytes
    key_publish_s: float = 600.0  # twice EDC's cache
    key_rotate_after_s: float = 365 * 86400.0  # as keys.rotate_after says

    # store
    writer_queue_units_max: int = 10_000
    batch_units_max: int = 256
    batch_bytes_max: int = 8 * MiB
    unit_writes_max: int = 64
    unit_bytes_max: int = 4 * MiB
    entry_bytes_max: int = 16_384

    # sessions
    session_token_life_s: float = 24 * 3600.0
    session_overlap_s: float = 60.0
    sessions_per_agreement_max: int = 16
    streams_per_session_max: int = 16
    stream_block_bytes: int = 1 * MiB  # 64 KiB is 3.6 to 5.7 times slower
    stream_ahead_bytes: int = 8 * MiB
    stream_stall_s: float = 60.0
    service_open_s: float = 30.0
    service_open_retries_max: int = 3
    service_close_s: float = 10.0
    transfer_start_wait_s: float = 15.0

    # queries and rooms
    query_bytes_max: int = 16 * KiB
    query_conditions_max: int = 32
    query_in_list_max: int = 200
    query_order_max: int = 16
    query_limit_max: int = 10**9
    look_seconds_max: float = 300.0
    shapes_kept_max: int = 1000
    read_result_bytes_max: int = 4 * GiB
    room_seconds_max: float = 30.0
    room_memory_bytes_max: int = 2 * GiB
    engine_memory_bytes_max: int = 1000 * MiB
    room_blocks_ahead_max: int = 8  # of 1 MiB
    room_files_max: int = 32
    room_wait_s: float = 30.0
    room_start_s: float = 20.0
    room_hold_s: float = 3600.0  # however slowly its blocks are taken
    room_kill_s: float = 5.0
    workers_per_node_max: int = 2
    workers_waiting_max: int = 64

    # files
    files_per_folder_max: int = 10_000
    files_in_detail_max: int = 100
    file_digests_kept_max: int = 100_000
    file_digest_wait_s: float = 10.0

    # terms
    terms_bytes_max: int = 64 * KiB
    terms_depth_max: int = 8
    terms_rules_max: int = 32
    terms_columns_max: int = 256
    terms_values_max: int = 1000
    terms_constraints_max: int = 256

    # management
    assets_per_participant_max: int = 100_000
    offers_per_participant_max: int = 100_000
    participants_max: int = 1000
    list_page_max: int = 200
    upload_bytes_max: int = 5 * GiB  # S3, one PUT
    request_wait_s_max: float = 120.0
    tokens_per_user_max: int = 20
    idempotency_key_chars_max: int = 64
    event_subscribers_max: int = 200
    event_life_s: float = 3600.0
    file_path_bytes_max: int = 1024

    # the machine
    disk_free_ready_bytes: int = 1 * GiB
    disk_free_write_bytes: int = 256 * MiB
    clock_back_s_max: float = 5.0

    # stopping
    drain_grace_s: float = 0.0
    stop_sends_s: float = 5.0
    stop_streams_s: float = 30.0
    stop_total_s: float = 45.0

    # keeping
    events_kept_s: float = 7 * 86400.0
    idempotency_kept_s: float = 86400.0
    inbox_kept_s: float = 30 * 86400.0

    # evidence
    checkpoint_every_s: float = 1.0
    checkpoints_per_s_max: int = 20
    receipt_wait_s: float = 2.0
    note_bytes_max: int = 128 * KiB
    note_lines_max: int = 32  # C2SP signed-note: at least 16
    proof_bytes_max: int = 256 * KiB
    key_statement_bytes_max: int = 64 * KiB
    key_statements_max: int = 1000
    statement_keys_max: int = 32
