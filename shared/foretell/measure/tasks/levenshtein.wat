;; Edit distance of two strings of argument letters each, by dynamic programming on one row of the
;; table. Letter k of the strings is (k * k) mod 7 and (k * k + k / 5) mod 7.
;; Work grows with argument ** 2. Memory: two strings and one row.
(module
  (memory (export "memory") 1)

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

  (func $min (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))

  ;; The row of the table starts at $row, the first string at 0, the second one right behind it.
  (func $fill (param $n i32) (param $row i32)
    (local $k i32) (local $square i32)
    (loop $next
      (local.set $square (i32.mul (local.get $k) (local.get $k)))
      (i32.store8 (local.get $k) (i32.rem_u (local.get $square) (i32.const 7)))
      (i32.store8 (i32.add (local.get $n) (local.get $k))
        (i32.rem_u
          (i32.add (local.get $square) (i32.div_u (local.get $k) (i32.const 5)))
          (i32.const 7)))
      (local.set $k (i32.add (local.get $k) (i32.const 1)))
      (i32.store
        (i32.add (local.get $row) (i32.shl (local.get $k) (i32.const 2)))
        (local.get $k))
      (br_if $next (i32.lt_u (local.get $k) (local.get $n)))))

  (func $advance (param $letter i32) (param $i i32) (param $n i32) (param $row i32)
    (local $j i32) (local $at i32) (local $diagonal i32) (local $left i32) (local $above i32)
    (local.set $at (local.get $row))
    (local.set $diagonal (i32.load (local.get $at)))
    (local.set $left (local.get $i))
    (i32.store (local.get $at) (local.get $i))
    (loop $next
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (local.set $above (i32.load (local.get $at)))
      (local.set $left
        (call $min
          (i32.add (call $min (local.get $left) (local.get $above)) (i32.const 1))
          (i32.add (local.get $diagonal)
            (i32.ne
              (local.get $letter)
              (i32.load8_u (i32.add (local.get $n) (local.get $j)))))))
      (local.set $diagonal (local.get $above))
      (i32.store (local.get $at) (local.get $left))
      (br_if $next
        (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))

  (func (export "run") (param $n i32) (result i32)
    (local $row i32) (local $i i32)
    ;; The row holds 32-bit words, so it starts at a multiple of four.
    (local.set $row
      (i32.and (i32.add (i32.shl (local.get $n) (i32.const 1)) (i32.const 3)) (i32.const -4)))
    (call $need
      (i32.add (local.get $row) (i32.shl (i32.add (local.get $n) (i32.const 1)) (i32.const 2))))
    (call $fill (local.get $n) (local.get $row))
    (loop $letters
      (call $advance
        (i32.load8_u (local.get $i))
        (i32.add (local.get $i) (i32.const 1))
        (local.get $n)
        (local.get $row))
      (br_if $letters
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.load (i32.add (local.get $row) (i32.shl (local.get $n) (i32.const 2))))))
