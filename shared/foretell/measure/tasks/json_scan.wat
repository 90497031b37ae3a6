;; Writes a JSON array of argument records into memory, then scans the text once, character by
;; character: strings with escapes, nesting, numbers. Record k is
;;   {"id":k,"name":"task \"a\"","ok":[true,null],"cost":{"cpu":k mod 97}}
;; with a comma behind it, except the last one; the array is in square brackets. Returns
;; (sum of all numbers) + 1000003 * (strings) + 7919 * (deepest nesting), mod 2 ** 64.
;; Work grows with argument. Memory: the text, from address 1024 on.
(module
  (memory (export "memory") 1)
  (global $out (mut i32) (i32.const 1024))
  (global $base i32 (i32.const 1024))

  (data (i32.const 0) "{\"id\":")
  (data (i32.const 16) ",\"name\":\"task \\\"a\\\"\",\"ok\":[true,null],\"cost\":{\"cpu\":")
  (data (i32.const 128) "}}")

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $put (param $character i32)
    (i32.store8 (global.get $out) (local.get $character))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $put_text (param $from i32) (param $length i32)
    (memory.copy (global.get $out) (local.get $from) (local.get $length))
    (global.set $out (i32.add (global.get $out) (local.get $length))))

  (func $put_number (param $value i32)
    (if (i32.ge_u (local.get $value) (i32.const 10))
      (then (call $put_number (i32.div_u (local.get $value) (i32.const 10)))))
    (call $put
      (i32.add (i32.rem_u (local.get $value) (i32.const 10)) (i32.const 48))))

  (func $put_record (param $k i32)
    (call $put_text (i32.const 0) (i32.const 6))
    (call $put_number (local.get $k))
    (call $put_text (i32.const 16) (i32.const 53))
    (call $put_number (i32.rem_u (local.get $k) (i32.const 97)))
    (call $put_text (i32.const 128) (i32.const 2)))

  (func $write (param $records i32)
    (local $k i32)
    (call $put (i32.const 91))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $k) (local.get $records)))
        ;; A record takes at most 73 characters.
        (call $need (i32.add (global.get $out) (i32.const 80)))
        (if (local.get $k) (then (call $put (i32.const 44))))
        (call $put_record (local.get $k))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br $next)))
    (call $put (i32.const 93)))

  ;; From the character behind an opening quote to the one behind the closing quote.
  (func $skip_string (param $at i32) (result i32)
    (local $character i32)
    (block $closed
      (loop $next
        (local.set $character (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $closed (i32.eq (local.get $character) (i32.const 34)))
        (if (i32.eq (local.get $character) (i32.const 92))
          (then (local.set $at (i32.add (local.get $at) (i32.const 1)))))
        (br $next)))
    (local.get $at))

  (func $digit (param $character i32) (result i32)
    (i32.lt_u (i32.sub (local.get $character) (i32.const 48)) (i32.const 10)))

  (func $opens (param $character i32) (result i32)
    (i32.or
      (i32.eq (local.get $character) (i32.const 123))
      (i32.eq (local.get $character) (i32.const 91))))

  (func $closes (param $character i32) (result i32)
    (i32.or
      (i32.eq (local.get $character) (i32.const 125))
      (i32.eq (local.get $character) (i32.const 93))))

  (func $scan (result i64)
    (local $at i32) (local $character i32) (local $number i64) (local $sum i64)
    (local $strings i64) (local $depth i32) (local $deepest i32)
    (local.set $at (global.get $base))
    (loop $next
      (local.set $character (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (call $digit (local.get $character))
        (then
          (local.set $number
            (i64.add
              (i64.mul (local.get $number) (i64.const 10))
              (i64.extend_i32_u (i32.sub (local.get $character) (i32.const 48))))))
        (else
          (local.set $sum (i64.add (local.get $sum) (local.get $number)))
          (local.set $number (i64.const 0))
          (if (i32.eq (local.get $character) (i32.const 34))
            (then
              (local.set $strings (i64.add (local.get $strings) (i64.const 1)))
              (local.set $at (call $skip_string (local.get $at)))))
          (if (call $opens (local.get $character))
            (then
              (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
              (if (i32.gt_u (local.get $depth) (local.get $deepest))
                (then (local.set $deepest (local.get $depth))))))
          (if (call $closes (local.get $character))
            (then (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))))))
      (br_if $next (i32.lt_u (local.get $at) (global.get $out))))
    (i64.add
      (local.get $sum)
      (i64.add
        (i64.mul (local.get $strings) (i64.const 1000003))
        (i64.mul (i64.extend_i32_u (local.get $deepest)) (i64.const 7919)))))

  (func (export "run") (param $records i32) (result i64)
    (call $write (local.get $records))
    (call $scan)))
