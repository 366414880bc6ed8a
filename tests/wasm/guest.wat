;; The sandbox provisioner, cut down to its create call: what the real guest sends, reads and says.
;;
;; It sees of the reply only "<status>\n<body>": no headers, so no Retry-After. It never tries again. A failure is
;; told with the first 500 bytes of the body, cut as Rust cuts a string: in the middle of a character it traps.
(module
  (import "env" "host_http_call"
    (func $http (param $method i32) (param $method_len i32) (param $url i32) (param $url_len i32)
                (param $headers i32) (param $headers_len i32) (param $body i32) (param $body_len i32)
                (param $out i32) (param $room i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "POST")
  (data (i32.const 16) "/sandboxes")
  (data (i32.const 32) "{\"templateID\":\"base\",\"timeout\":600}")
  (data (i32.const 96) "[[\"content-type\",\"application/json\"],[\"x-api-key\",\"")
  (data (i32.const 160) "\"]]")
  (data (i32.const 176) "\"sandboxID\"")
  (data (i32.const 192) "\"sandbox_id\"")
  (data (i32.const 208) "unknown")
  (data (i32.const 224) "E2B sandbox creation failed (HTTP ")
  (data (i32.const 272) "): ")
  (data (i32.const 288) "host_http_call failed: ")
  (data (i32.const 320) "-1")
  (data (i32.const 324) "-2")
  ;; 0x1000 url (the host writes its base) · 0x2000 key · 0x3000 headers · 0x4000 reply, 64 KiB · 0x20000 result
  (global $end (mut i32) (i32.const 0x20000))
  (global $failed (export "failed") (mut i32) (i32.const 0))

  (func $say (param $from i32) (param $len i32)
    (memory.copy (global.get $end) (local.get $from) (local.get $len))
    (global.set $end (i32.add (global.get $end) (local.get $len))))

  (func $length (result i32) (i32.sub (global.get $end) (i32.const 0x20000)))

  (func $headers (param $key_len i32) (result i32)
    (memory.copy (i32.const 0x3000) (i32.const 96) (i32.const 51))
    (memory.copy (i32.const 0x3033) (i32.const 0x2000) (local.get $key_len))
    (memory.copy (i32.add (i32.const 0x3033) (local.get $key_len)) (i32.const 160) (i32.const 3))
    (i32.add (i32.const 54) (local.get $key_len)))

  ;; whether the bytes at a and b agree for len
  (func $same (param $a i32) (param $b i32) (param $len i32) (result i32)
    (loop $next
      (if (i32.eqz (local.get $len)) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))) (then (return (i32.const 0))))
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $b (i32.add (local.get $b) (i32.const 1)))
      (local.set $len (i32.sub (local.get $len) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; the place of the string value that follows a name in [at, end), or 0
  (func $value (param $name i32) (param $len i32) (param $at i32) (param $end i32) (result i32)
    (loop $next
      (if (i32.gt_u (i32.add (local.get $at) (local.get $len)) (local.get $end)) (then (return (i32.const 0))))
      (if (i32.eqz (call $same (local.get $name) (local.get $at) (local.get $len)))
        (then (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next))))
    (local.set $at (i32.add (local.get $at) (local.get $len)))
    (loop $quote
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $quote (i32.ne (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 34))))
    (local.get $at))

  ;; success: the id, or "unknown": a reply without an id does not fail
  (func $identify (param $at i32) (param $end i32)
    (local $id i32) (local $stop i32)
    (local.set $id (call $value (i32.const 176) (i32.const 11) (local.get $at) (local.get $end)))
    (if (i32.eqz (local.get $id))
      (then (local.set $id (call $value (i32.const 192) (i32.const 12) (local.get $at) (local.get $end)))))
    (if (i32.eqz (local.get $id)) (then (call $say (i32.const 208) (i32.const 7)) (return)))
    (local.set $stop (local.get $id))
    (loop $next
      (if (i32.and (i32.lt_u (local.get $stop) (local.get $end))
                   (i32.ne (i32.load8_u (local.get $stop)) (i32.const 34)))
        (then (local.set $stop (i32.add (local.get $stop) (i32.const 1))) (br $next))))
    (call $say (local.get $id) (i32.sub (local.get $stop) (local.get $id))))

  ;; failure: the status and at most 500 bytes, which must end between two characters
  (func $complain (param $status_len i32) (param $at i32) (param $end i32)
    (global.set $failed (i32.const 1))
    (call $say (i32.const 224) (i32.const 34))
    (call $say (i32.const 0x4000) (local.get $status_len))
    (call $say (i32.const 272) (i32.const 3))
    (if (i32.gt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 500))
      (then
        (local.set $end (i32.add (local.get $at) (i32.const 500)))
        (if (i32.eq (i32.and (i32.load8_u (local.get $end)) (i32.const 0xc0)) (i32.const 0x80))
          (then (unreachable)))))
    (call $say (local.get $at) (i32.sub (local.get $end) (local.get $at))))

  ;; the whole of it: url and key are in memory; the length of the result, which is at 0x20000
  (func (export "provision") (param $url_len i32) (param $key_len i32) (result i32)
    (local $got i32) (local $at i32) (local $end i32)
    (memory.copy (i32.add (i32.const 0x1000) (local.get $url_len)) (i32.const 16) (i32.const 10))
    (local.set $got
      (call $http (i32.const 0) (i32.const 4)
                  (i32.const 0x1000) (i32.add (local.get $url_len) (i32.const 10))
                  (i32.const 0x3000) (call $headers (local.get $key_len))
                  (i32.const 32) (i32.const 35)
                  (i32.const 0x4000) (i32.const 0x10000)))
    (if (i32.lt_s (local.get $got) (i32.const 0))
      (then
        (global.set $failed (i32.const 1))
        (call $say (i32.const 288) (i32.const 23))
        (call $say (select (i32.const 320) (i32.const 324) (i32.eq (local.get $got) (i32.const -1))) (i32.const 2))
        (return (call $length))))
    (local.set $end (i32.add (i32.const 0x4000) (local.get $got)))
    (local.set $at (i32.const 0x4000))
    (loop $status
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $status (i32.ne (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 10))))
    (if (i32.eq (i32.load8_u (i32.const 0x4000)) (i32.const 50))
      (then (call $identify (local.get $at) (local.get $end)))
      (else (call $complain (i32.sub (i32.sub (local.get $at) (i32.const 1)) (i32.const 0x4000))
                            (local.get $at) (local.get $end))))
    (call $length)))
